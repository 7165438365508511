"""The warm start: views of the object predicted in one step, to which the field is fitted before SDS.

One-step predictions are blurred, but agree with each other well enough to give SDS a shape to begin with. They are a
function of the guidance's seed, picture and weights: a resumed run computes the same ones again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from threestudio import cameras
from threestudio.utils.misc import get_seed, step_generator

WHITE, CLEARLY_COLORED = 0.98, 0.8  # darkest channel of a pixel that is background, and of one that is the object
WHITISH_SHARE = 0.1  # of the object's own pixels: above it, whiteness tells nothing


def ring_cameras(
    count: int, elevations_deg: Sequence[float], first_azimuth_deg: float
) -> tuple[Float[Tensor, "view"], Float[Tensor, "view"]]:
    """Elevations and azimuths of `count` views in rings of equal spacing, each ring turned against the one before."""
    rings = len(elevations_deg)
    elevation, azimuth = [], []
    for ring, ring_elevation in enumerate(elevations_deg):
        views = count // rings + (ring < count % rings)
        for view in range(views):
            elevation.append(float(ring_elevation))
            azimuth.append(first_azimuth_deg + 360 * (view + ring / rings) / views)
    return torch.tensor(elevation), torch.tensor(azimuth)


@dataclass(frozen=True)
class WarmStartViews:
    """Predicted images on white, and their cameras."""

    images: Float[Tensor, "view h w 3"]
    elevation_deg: Float[Tensor, "view"]
    azimuth_deg: Float[Tensor, "view"]
    distance: Float[Tensor, "view"]
    c2w: Float[Tensor, "view 4 4"]
    fovy: Float[Tensor, "1"]  # radians
    white_is_background: bool

    @classmethod
    def predict(
        cls, guidance: Any, reference: dict[str, Any], count: int, elevations_deg: Sequence[float]
    ) -> "WarmStartViews":
        """`guidance.one_step_views` from around the reference batch's camera, at its distance and field of view."""
        elevation, azimuth = ring_cameras(count, elevations_deg, float(reference["azimuth"][0]))
        elevation, azimuth = elevation.to(reference["azimuth"]), azimuth.to(reference["azimuth"])
        distance = reference["camera_distances"].expand(count)
        return cls(
            guidance.one_step_views(elevation, azimuth, distance),
            elevation,
            azimuth,
            distance,
            cameras.orbit(elevation, azimuth, distance),
            reference["fovy"],
            whitish_share(reference["rgb"][reference["mask"][..., 0]]) < WHITISH_SHARE,
        )

    def batch(self, step: int, views: int, height: int, width: int) -> dict[str, Any]:
        """What the renderer takes, and the target `rgb` [view h w 3], of a few views that depend on the step alone."""
        drawn = torch.randperm(len(self.images), generator=step_generator(get_seed(), "warm-start-views", step))[:views]
        drawn = drawn.to(self.images.device)
        c2w = self.c2w[drawn]
        rays_o, rays_d = cameras.rays(c2w, self.fovy.expand(len(drawn)), height, width)
        images = self.images[drawn].permute(0, 3, 1, 2)
        if images.shape[-2:] != (height, width):
            images = F.interpolate(images, (height, width), mode="bilinear", antialias=True)
        return {
            "rays_o": rays_o,
            "rays_d": rays_d,
            "light_positions": c2w[:, :3, 3],
            "camera_positions": c2w[:, :3, 3],
            "c2w": c2w,
            "height": height,
            "width": width,
            "rgb": images.permute(0, 2, 3, 1),
        }


def opacity_from_white(rgb: Float[Tensor, "*pixel 3"]) -> Float[Tensor, "*pixel 1"]:
    """0 for white, 1 for what is clearly not, in between for the blurred outline of a predicted view."""
    darkest = rgb.amin(dim=-1, keepdim=True)
    return ((WHITE - darkest) / (WHITE - CLEARLY_COLORED)).clamp(0, 1)


def whitish_share(object_rgb: Float[Tensor, "pixel 3"]) -> float:
    """How much of the object would pass for background."""
    return float((opacity_from_white(object_rgb) < 0.5).float().mean()) if len(object_rgb) else 1.0
