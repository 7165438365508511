"""The objects that methods are scored on: generated ones, or any folder of meshes."""

import hashlib
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from studies.meshes.scores import Truth
from studies.rendering.folder import load_mesh, mesh_names
from threestudio.errors import UserError

DETAIL = 2.0  # of generated objects: 1 suits pictures of 64 px


def generated_object(index: int) -> tuple[str, Truth]:
    """An object of the test split, which no training ever sees, and a light of its own."""
    from studies.objects import make_object, object_seed

    seed = object_seed("test", index)
    return f"test-{index:04d}", Truth(make_object(seed, detail=DETAIL), light_azimuth_deg(seed))


@dataclass(frozen=True)
class MeshObjects:
    """GLB, glTF and OBJ files (y up, front towards +z), in an order that a hash of their names decides."""

    folder: Path

    @cached_property
    def files(self) -> list[tuple[str, Path]]:
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such folder")
        return sorted(mesh_names(self.folder).items(), key=lambda item: hashlib.sha256(item[0].encode()).digest())

    def __call__(self, index: int) -> tuple[str, Truth]:
        """With the largest side 1, centred, and a light of its own."""
        name, path = self.files[index]
        return name.replace("/", "-"), Truth(load_mesh(path), light_azimuth_deg(zlib.crc32(name.encode())))


def light_azimuth_deg(seed: int) -> float:
    return float(np.random.default_rng([seed, 2]).uniform(-180, 180))
