"""The pictures that the relief network is trained, watched and tested on."""

from pathlib import Path

from studies.relief.packed import Pictures, make

OBJECTS = {"train": 500, "val": 80, "test": 100}  # generated ones
VARIANTS = {"train": 4}  # of each real object
VIEWS = 3


def sets(meshes: Path | None, split: str) -> dict[str, Pictures]:
    """`meshes` is what scripts/make_real_objects.py made; None: generated objects only."""
    found = {f"generated-{split}": Pictures(split=split, objects=OBJECTS[split], views=VIEWS)}
    if meshes is not None:
        real = Pictures(str(meshes / split), split, variants=VARIANTS.get(split, 0), views=VIEWS)
        found = {f"real-{split}": real} | found
    return found


def made(meshes: Path | None, split: str, folder: Path, workers: int) -> list[Path]:
    """The folders of a split's sets, complete."""
    for name, pictures in sets(meshes, split).items():
        make(pictures, folder / name, workers)
    return [folder / name for name in sets(meshes, split)]
