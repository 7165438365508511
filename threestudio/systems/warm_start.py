"""The warm start: views of the object predicted in one step, to which the field is fitted before SDS.

One-step predictions are blurred, but agree with each other well enough to give SDS a shape to begin with, once they are
freed of the white that they are blurred with: by the opacity that the model predicts, or by their colours (`matting`).
They are a function of the guidance's seed, picture and weights: a resumed run computes the same ones again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from threestudio.picture.white import on_white, whitish_share
from threestudio.systems.matting import with_full_colors, without_white_fog
from threestudio.utils.misc import get_seed, step_generator
from threestudio.views import Cameras

WHITISH_SHARE = 0.1  # of the object's own pixels: above it, whiteness tells nothing


@dataclass(frozen=True)
class WarmStartViews:
    """Predicted images on white, where the object is in them, and their cameras."""

    rgb: Float[Tensor, "view 3 h w"]
    opacity: Float[Tensor, "view 1 h w"] | None  # None for a whitish object, which cannot be told from its background
    cameras: Cameras

    @classmethod
    def predict(
        cls, guidance: Any, reference: dict[str, Any], count: int, elevations_deg: Sequence[float]
    ) -> "WarmStartViews":
        """`guidance.one_step_views` from around the reference batch's camera, at its distance and field of view."""
        lens = float(reference["camera_distances"][0]), float(reference["fovy_deg"][0])
        around = Cameras.rings(count, elevations_deg, float(reference["azimuth"][0]), *lens).to(reference["azimuth"])
        predicted = guidance.one_step_views(around.elevation_deg, around.azimuth_deg, around.distance)
        rgb, opacity = freed_of_white(predicted.permute(0, 3, 1, 2), reference["rgb"][reference["mask"][..., 0]])
        return cls(rgb, opacity, around)

    def batch(self, step: int, views: int, height: int, width: int) -> dict[str, Any]:
        """What the renderer takes, of a few views that depend on the step alone, and the targets `rgb` [view h w 3]
        and `opacity` [view h w 1] or None."""
        drawn = torch.randperm(len(self.rgb), generator=step_generator(get_seed(), "warm-start-views", step))[:views]
        drawn = drawn.to(self.rgb.device)
        return self.cameras[drawn].batch(height, width) | {
            "rgb": _at_size(self.rgb[drawn], height, width),
            "opacity": None if self.opacity is None else _at_size(self.opacity[drawn], height, width),
        }


def freed_of_white(
    predicted: Float[Tensor, "view channel h w"], shown: Float[Tensor, "pixel 3"]
) -> tuple[Float[Tensor, "view 3 h w"], Float[Tensor, "view 1 h w"] | None]:
    """Colours on white and opacity of views that are a mean: colours on white and, if the model sees it, opacity.

    `shown` are the object's colours in the source picture.
    """
    rgb = predicted[:, :3]
    if predicted.shape[1] == 4:
        rgba = with_full_colors(rgb, predicted[:, 3:])
    elif whitish_share(shown) < WHITISH_SHARE:
        rgba = without_white_fog(rgb, shown)
    else:
        return rgb, None
    return on_white(rgba), rgba[:, 3:]


def _at_size(images: Float[Tensor, "view k h w"], height: int, width: int) -> Float[Tensor, "view {height} {width} k"]:
    if images.shape[-2:] != (height, width):
        images = F.interpolate(images, (height, width), mode="bilinear", antialias=True)
    return images.permute(0, 2, 3, 1)
