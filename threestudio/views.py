"""Cameras as one value, and what a batch says of them; the extension has a type of its own, for hosts without this one.

Angles are degrees and lengths world units, by the conventions of `threestudio.cameras`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from threestudio import cameras

NEAR, FAR = 0.01, 100.0


@dataclass(frozen=True)
class Cameras:
    """Cameras that look at the origin with z up; the field of view is vertical."""

    elevation_deg: Float[Tensor, "view"]
    azimuth_deg: Float[Tensor, "view"]
    distance: Float[Tensor, "view"]
    fovy_deg: Float[Tensor, "view"]

    @classmethod
    def one(cls, elevation_deg: float, azimuth_deg: float, distance: float, fovy_deg: float) -> "Cameras":
        """A single one, in double precision."""
        values = (elevation_deg, azimuth_deg, distance, fovy_deg)
        return cls(*(torch.tensor([value], dtype=torch.float64) for value in values))

    @classmethod
    def rings(
        cls,
        count: int,
        elevations_deg: Sequence[float],
        first_azimuth_deg: float,
        distance: float,
        fovy_deg: float,
    ) -> "Cameras":
        """In rings of equal spacing, each ring turned against the one before."""
        rings = len(elevations_deg)
        sizes = [count // rings + (ring < count % rings) for ring in range(rings)]
        elevation = [float(elevations_deg[ring]) for ring in range(rings) for _ in range(sizes[ring])]
        azimuth = [
            first_azimuth_deg + 360 * (view + ring / rings) / sizes[ring]
            for ring in range(rings)
            for view in range(sizes[ring])
        ]
        like = torch.ones(count)
        return cls(torch.tensor(elevation), torch.tensor(azimuth), distance * like, fovy_deg * like)

    def each(self, change: Callable[[Tensor], Tensor]) -> "Cameras":
        """With `change` done to each of the four tensors."""
        values = (self.elevation_deg, self.azimuth_deg, self.distance, self.fovy_deg)
        return Cameras(*map(change, values))

    def __len__(self) -> int:
        return len(self.distance)

    def __getitem__(self, index: Any) -> "Cameras":
        return self.each(lambda value: value[index])

    def to(self, like: Tensor | torch.device | torch.dtype) -> "Cameras":
        """On another device, in another precision, or both of a tensor."""
        return self.each(lambda value: value.to(like))

    @cached_property
    def c2w(self) -> Float[Tensor, "view 4 4"]:
        """Camera to world."""
        return cameras.orbit(self.elevation_deg, self.azimuth_deg, self.distance)

    def batch(
        self, height: int, width: int, normalize: bool = True, c2w: Float[Tensor, "view 4 4"] | None = None
    ) -> dict[str, Any]:
        """What every batch says about its cameras, by upstream's keys: `fovy` is in radians, the light at the camera.

        `c2w` is where they really stand, if moved a little: the angles stay those before that, as upstream has it.
        """
        c2w = self.c2w if c2w is None else c2w
        rays_o, rays_d = cameras.rays(c2w, self.fovy_deg, height, width, normalize=normalize)
        projection = cameras.rows_downwards(cameras.projection(self.fovy_deg, width / height, NEAR, FAR))
        return {
            "rays_o": rays_o,
            "rays_d": rays_d,
            "mvp_mtx": cameras.world_to_clip(c2w, projection),
            "proj_mtx": projection,
            "c2w": c2w,
            "camera_positions": c2w[:, :3, 3],
            "light_positions": c2w[:, :3, 3],
            "fovy": torch.deg2rad(self.fovy_deg),
            "fovy_deg": self.fovy_deg,
            "height": height,
            "width": width,
            "elevation": self.elevation_deg,
            "azimuth": self.azimuth_deg,
            "camera_distances": self.distance,
        }
