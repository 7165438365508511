"""Pictures with their true relief as arrays that are mapped into memory: what the relief network is trained on.

A folder of meshes, in stretched variants or as they are, or generated objects of a split; some pictures of each. What
is there is gone on with. In pictures: rgba uint8 [h w 4], front and back float16 [h w] (NaN: no surface), normal int8
[h w 3] (camera axes, times 127), layers uint32 [lh lw] (bit k: inside in layer k), elevation float32 in degrees.
"""

import json
import zlib
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from tqdm import tqdm

from studies.relief.framing import framed
from studies.relief.truth import Caster, TrueRelief
from studies.rendering.engines import in_processes
from studies.rendering.folder import load_mesh, mesh_names
from studies.rendering.lights import any_light, usual_light
from studies.rendering.packed import prepare
from studies.rendering.record import keep_settings, refuse_others
from studies.rendering.stretch import stretched
from threestudio.mesh.renderer import Light
from threestudio.relief.network import LAYERS, LAYERS_SIZE, SIZE
from threestudio.utils.atomic import atomic_path

ARRAYS = {
    "rgba": ((SIZE, SIZE, 4), np.uint8),
    "front": ((SIZE, SIZE), np.float16),
    "back": ((SIZE, SIZE), np.float16),
    "normal": ((SIZE, SIZE, 3), np.int8),
    "layers": ((LAYERS_SIZE, LAYERS_SIZE), np.uint32),
    "elevation": ((), np.float32),
}


@dataclass(frozen=True)
class Pictures:
    """What to make, of the meshes in a folder, or, where it is "", of the first `objects` generated ones of `split`."""

    meshes: str = ""
    split: str = "train"
    objects: int = 0
    variants: int = 0  # of each mesh; 0: as it is
    views: int = 4  # of each variant
    elevation_deg: tuple[float, float] = (-15.0, 60.0)
    fovy_deg: tuple[float, float] = (15.0, 50.0)
    usual_fovy_deg: float = 20.0
    usual_share: float = 0.7  # of the pictures have the usual field of view
    object_ratio: tuple[float, float] = (0.65, 0.85)
    seed: int = 0


def make(pictures: Pictures, folder: Path, workers: int) -> None:
    if (folder / "meta.json").is_file():
        refuse_others(folder / "meta.json", asdict(pictures), "folder")
        return
    keep_settings(folder / "unfinished.json", asdict(pictures), "folder")
    things = listed(pictures)
    count = len(things) * pictures.views
    for name, (shape, dtype) in (ARRAYS | {"done": ((), bool)}).items():
        prepare(folder / f"{name}.npy", (count, *shape), dtype)
    waiting = np.flatnonzero(~np.load(folder / "done.npy")[:: pictures.views]).tolist()
    task = partial(write, pictures=pictures, folder=folder)
    for _ in tqdm(in_processes(task, waiting, workers), total=len(waiting), unit="object", mininterval=10.0):
        pass
    with atomic_path(folder / "meta.json") as partial_path:
        names = [name for name, _ in things for _ in range(pictures.views)]
        partial_path.write_text(json.dumps(asdict(pictures) | {"names": names}, indent=1))
    for name in ("done.npy", "unfinished.json"):
        (folder / name).unlink()


def listed(pictures: Pictures) -> list[tuple[str, int]]:
    """Name and number of variant of each thing, in a fixed order."""
    if not pictures.meshes:
        return [(f"{pictures.split}-{index}", 0) for index in range(pictures.objects)]
    names = list(files(pictures.meshes))
    return [(name, variant) for name in names for variant in range(max(pictures.variants, 1))]


def write(index: int, pictures: Pictures, folder: Path) -> None:
    """All pictures of one thing, into their places."""
    for view, relief in enumerate(reliefs(index, pictures)):
        place = index * pictures.views + view
        for name, value in encoded(*relief).items():
            np.load(folder / f"{name}.npy", mmap_mode="r+")[place] = value
    np.load(folder / "done.npy", mmap_mode="r+")[index * pictures.views : (index + 1) * pictures.views] = True


def reliefs(index: int, pictures: Pictures) -> list[tuple[TrueRelief, float]]:
    """With the elevation that each was taken from."""
    name, variant = listed(pictures)[index]
    rng = np.random.default_rng([pictures.seed, zlib.crc32(name.encode()), variant, 3])
    mesh = thing(name, pictures)
    if pictures.variants and isinstance(mesh, trimesh.Scene):  # a file's; generated ones are no two alike
        mesh = stretched(mesh, rng)
    caster = Caster(mesh)
    light = any_light(rng) if pictures.split == "train" else usual_light(rng)
    found = []
    for _ in range(pictures.views):
        elevation_deg = rng.uniform(*pictures.elevation_deg)
        usual = rng.uniform() < pictures.usual_share
        fovy_deg = pictures.usual_fovy_deg if usual else rng.uniform(*pictures.fovy_deg)
        framing = framed(
            caster.points, elevation_deg, rng.uniform(-180, 180), fovy_deg, rng.uniform(*pictures.object_ratio)
        )
        found.append((caster.relief(framing, Light.in_the_world(*light)), elevation_deg))
    return found


def thing(name: str, pictures: Pictures) -> trimesh.Trimesh | trimesh.Scene:
    if pictures.meshes:
        return loaded(files(pictures.meshes)[name])
    from studies.objects import make_object, object_seed

    return make_object(object_seed(pictures.split, int(name.rpartition("-")[2])), detail=2.0)


@lru_cache(maxsize=1)
def files(folder: str) -> dict[str, Path]:
    return mesh_names(Path(folder))


@lru_cache(maxsize=1)  # the variants of a mesh follow each other
def loaded(path: Path) -> trimesh.Scene:
    return load_mesh(path)


def encoded(relief: TrueRelief, elevation_deg: float) -> dict[str, Any]:
    bits = relief.inside.astype(np.uint32) << np.arange(LAYERS, dtype=np.uint32)[:, None, None]
    return {
        "rgba": relief.rgba,
        "front": np.where(relief.hit, relief.front, np.nan),
        "back": np.where(relief.hit, relief.back, np.nan),
        "normal": np.round(127 * relief.normal),
        "layers": np.bitwise_or.reduce(bits, axis=0),
        "elevation": elevation_deg,
    }
