"""Generated objects or a folder of meshes to arrays that are mapped into memory, without files in between."""

import argparse
import json
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from studies.objects import drawn_family, make_object, object_seed
from studies.reconstruction.engine import WorkerDied
from studies.rendering.engines import work
from studies.rendering.folder import load_mesh, mesh_names
from studies.rendering.lights import any_light
from studies.rendering.record import keep_settings, refuse_others
from studies.rendering.stretch import stretched
from studies.rendering.views import render
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path

SETTINGS = (
    "views",
    "size",
    "fovy_deg",
    "distance",
    "elevation_range",
    "source_elevation_range",
    "layout",
    "shading",
    "supersample",
    "seed",
)


@dataclass(frozen=True)
class GeneratedObjects:
    """The objects of one split, made as they are rendered."""

    options: argparse.Namespace

    def __len__(self) -> int:
        return self.options.generate

    @property
    def settings(self) -> dict[str, Any]:
        return {key: getattr(self.options, key) for key in ("split", "detail")} | {"objects": len(self)}

    def listed(self) -> dict[str, list[str]]:
        """What is said of each object when all are rendered."""
        return {"families": [drawn_family(object_seed(self.options.split, index)) for index in range(len(self))]}

    def render(self, index: int) -> tuple[np.ndarray, ...]:
        seed = object_seed(self.options.split, index)
        mesh = make_object(seed, detail=self.options.detail)
        return render(mesh, self.options, np.random.default_rng([self.options.seed, seed, 2]))


@dataclass(frozen=True)
class MeshFiles:
    """A folder's meshes, each as it is, or in its variants one after the other."""

    options: argparse.Namespace

    def __len__(self) -> int:
        return len(self.meshes) * (self.options.variants or 1)

    @cached_property
    def meshes(self) -> list[tuple[str, Path]]:
        if not self.options.in_dir.is_dir():
            raise UserError(f"{self.options.in_dir}: no such folder")
        return list(mesh_names(self.options.in_dir).items())

    @property
    def settings(self) -> dict[str, Any]:
        return {"meshes": len(self.meshes), "variants": self.options.variants}

    def listed(self) -> dict[str, list[str]]:
        """What is said of each object when all are rendered."""
        return {"names": [name for name, _ in self.meshes for _ in range(self.options.variants or 1)]}

    def render(self, index: int) -> tuple[np.ndarray, ...]:
        number, variant = divmod(index, self.options.variants or 1)
        name, path = self.meshes[number]
        rng = np.random.default_rng([self.options.seed, zlib.crc32(name.encode()), variant])
        # Parsers of mesh files raise whatever they stumble over.
        try:
            scene = loaded(path)
        except Exception as error:
            raise UserError(f"{path}: cannot be read ({error}); move it elsewhere and begin again") from error
        if not self.options.variants:
            return render(scene, self.options, rng)
        return render(stretched(scene, rng), self.options, rng, any_light(rng))


@lru_cache(maxsize=1)  # the variants of a mesh follow each other
def loaded(path: Path) -> trimesh.Scene:
    return load_mesh(path)


def render_packed(options: argparse.Namespace) -> int:
    out_dir = options.packed
    source = GeneratedObjects(options) if options.generate else MeshFiles(options)
    settings = {key: getattr(options, key) for key in SETTINGS} | source.settings
    if (out_dir / "meta.json").is_file():
        refuse_others(out_dir / "meta.json", settings, "--packed")
        print(f"{out_dir}: already complete")
        return 0
    keep_settings(out_dir / "unfinished.json", settings, "--packed")
    prepare_arrays(options, len(source))
    waiting = np.flatnonzero(~np.load(out_dir / "done.npy")).tolist()
    for index, outcome in work(partial(render_object, source=source), waiting, options):
        if isinstance(outcome, WorkerDied):
            raise UserError(f"{out_dir}: object {index}: its worker {outcome}; the same command goes on from there")
    with atomic_path(out_dir / "meta.json") as unfinished:
        unfinished.write_text(json.dumps(settings | source.listed(), indent=1))
    for name in ("done.npy", "unfinished.json"):
        (out_dir / name).unlink()
    return 0


def prepare_arrays(options: argparse.Namespace, count: int) -> None:
    out_dir = options.packed
    out_dir.mkdir(parents=True, exist_ok=True)
    size, head = options.size, (count, options.views)
    arrays = {
        "images": ((*head, size, size, 4), np.uint8),
        "cameras": ((*head, 3, 4), np.float32),
        "angles": ((*head, 3), np.float32),
        "done": ((count,), bool),
    }
    for name, (shape, dtype) in arrays.items():
        prepare(out_dir / f"{name}.npy", shape, dtype)


def prepare(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    """An array of zeros on disk, unless the one of an interrupted run is there."""
    if not path.is_file():
        np.lib.format.open_memmap(path, "w+", dtype, shape).flush()
    elif np.load(path, mmap_mode="r").shape != shape:
        raise UserError(f"{path}: shape {np.load(path, mmap_mode='r').shape} of another run, not {shape}; remove it")


def render_object(index: int, source: GeneratedObjects | MeshFiles) -> None:
    """Renders one object into its place in the arrays."""
    folder = source.options.packed
    for name, value in zip(("images", "cameras", "angles"), source.render(index), strict=True):
        np.load(folder / f"{name}.npy", mmap_mode="r+")[index] = value
    np.load(folder / "done.npy", mmap_mode="r+")[index] = True
