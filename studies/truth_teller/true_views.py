"""An object whose true mesh is known, seen from any camera: the only source of what the truth-teller says."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from cascade_zero123.views import Cameras
from cascade_zero123.zero123.white import on_white
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from studies.meshes.scores import Truth
from studies.meshes.true_objects import generated_object, light_azimuth_deg
from studies.rendering.folder import load_mesh
from threestudio import cameras
from threestudio.errors import UserError
from threestudio.mesh.renderer import render_mesh

GENERATED = "generated:"  # and an index of the test split
# Squared rays a pixel, of pictures that are looked at; those that become latents have 64 rays a latent with one.
SUPERSAMPLE = 2
REMEMBERED = 64  # pictures


@lru_cache(1)
def true_object(name: str) -> Truth:
    """`generated:6`, or the path of a GLB, glTF or OBJ file (y up, front towards +z); its largest side is 1."""
    if name.startswith(GENERATED):
        index = name.removeprefix(GENERATED)
        if not index.isdecimal():
            raise UserError(f"{name}: expected {GENERATED} and a number")
        return generated_object(int(index))[1]
    path = Path(name)
    if not path.is_file():
        raise UserError(f"{name}: no such mesh; expected a file, or {GENERATED} and a number")
    return Truth(load_mesh(path), light_azimuth_deg(zlib.crc32(path.stem.encode())))


def short_name(name: str) -> str:
    """For files and tables: `generated-6`, or the file's name."""
    return name.replace(":", "-") if name.startswith(GENERATED) else Path(name).stem


@dataclass(frozen=True)
class TrueViews:
    """A truth as a camera of this vertical field of view sees it, in pictures of `size` pixels a side."""

    truth: Truth
    fovy_deg: float
    size: int

    def rgba(self, at: Cameras, supersample: int = SUPERSAMPLE) -> UInt8[ndarray, "view h w 4"]:
        """Straight alpha; the light stays with the object."""
        c2w = cameras.orbit(*(angle.double() for angle in (at.elevation_deg, at.azimuth_deg, at.distance)))
        light = self.truth.light_azimuth_deg
        shading: dict[str, Any] = {} if light is None else {"shading": "diffuse", "light_azimuth_deg": light}
        return render_mesh(self.truth.mesh, c2w, self.fovy_deg, self.size, self.size, supersample, **shading)

    def pictures(self, at: Cameras) -> Float[Tensor, "view 3 h w"]:
        """On white, in [0, 1]."""
        return torch.stack([self._remembered(*place) for place in zip(*at.as_tensor().tolist(), strict=True)])

    @cached_property
    def _remembered(self) -> Callable[[float, float, float], Float[Tensor, "3 h w"]]:
        """The last ones: the steps of one sampling ask for the same views."""
        return lru_cache(REMEMBERED)(lambda *place: self._picture(Cameras.one(*place)))

    def _picture(self, at: Cameras) -> Float[Tensor, "3 h w"]:
        return on_white(torch.from_numpy(self.rgba(at, supersample=1)).movedim(-1, 1).float() / 255)[0]
