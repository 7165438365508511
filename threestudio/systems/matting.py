"""Blurred pictures of an object on white, cut out.

A one-step prediction is the mean of all views that are plausible. Where the object is in some of them only, it shows
the colour of the object thinned with white, as a half transparent object would (Porter and Duff 1984): a field that is
fitted to it as it is becomes wide, and pale at its outlines. So the full colour is guessed first: that of the pixels
around it of the same hue, the strongest counting most (a bilateral filter, Tomasi and Manduchi 1998), and not much
paler than what the source picture shows in this hue. How much of it a pixel has is the share of the plausible views
that show the object there, and its outline is where half of them do.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

WORKING_SIZE = 32  # pixels of the larger side, for the guess of the full colours
REACH, NEARNESS = 5, 2.5  # of these pixels: how far the surroundings go, and the standard deviation of their weights
HUE = 0.2  # standard deviation, radians between the two colours' differences from white
NOISE = 0.03  # of a channel: a difference from white as small as this has no hue
FEW, MOST = 0.3, 0.7  # shares of the plausible views at which nothing is left of the object, and all of it is there
PALEST = 0.7  # of the mean difference from white that the source picture has in a hue: the object's, at least
RARE = 0.01  # of the source picture: a hue that less of it has tells nothing
ENOUGH = 128  # of the source picture's pixels, taken evenly
FAINTEST = 0.15  # difference from white of what may be an object


def without_white_fog(rgb: Float[Tensor, "view 3 h w"], shown: Float[Tensor, "pixel 3"]) -> Float[Tensor, "view 4 h w"]:
    """The object with straight alpha; `rgb` in [0, 1] on white, `shown` are its colours in the source picture."""
    difference, shown = 1.0 - rgb, 1.0 - shown[:: max(1, len(shown) // ENOUGH)]
    full = torch.stack([_full_colors(view, shown) for view in _reduced(difference)])
    full = F.interpolate(full, rgb.shape[-2:], mode="bilinear", align_corners=False)
    return with_full_colors(rgb, _length(difference) / _length(full).clamp(min=FAINTEST))


def with_full_colors(
    rgb: Float[Tensor, "view 3 h w"], share: Float[Tensor, "view 1 h w"]
) -> Float[Tensor, "view 4 h w"]:
    """Straight alpha; `rgb` on white, and how many of the plausible views show the object at each pixel."""
    colors = 1.0 - (1.0 - rgb) / share.clamp(FEW, 1.0)
    return torch.cat([colors.clamp(0, 1), ((share - FEW) / (MOST - FEW)).clamp(0, 1)], dim=1)


def _reduced(images: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 3 _ _"]:
    height, width = images.shape[-2:]
    factor = min(1.0, WORKING_SIZE / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def _full_colors(difference: Float[Tensor, "3 h w"], shown: Float[Tensor, "pixel 3"]) -> Float[Tensor, "3 h w"]:
    """Differences from white where the object is not thinned."""
    around = _surroundings(difference)
    weight = _nearness(difference) * _likeness(difference[:, None], around) * around.norm(dim=0).pow(4) + 1e-12
    full = (weight * around).sum(dim=1) / weight.sum(dim=0)
    return full * (_least(full, shown) / full.norm(dim=0).clamp(min=1e-6)).clamp(min=1.0)


def _least(full: Float[Tensor, "3 h w"], shown: Float[Tensor, "pixel 3"]) -> Float[Tensor, "h w"]:
    """How far from white a hue is to be at least."""
    like = _likeness(full[:, None], shown.T[:, :, None, None])
    return PALEST * (like * shown.norm(dim=1)[:, None, None]).sum(dim=0) / (like.sum(dim=0) + RARE * len(shown))


def _likeness(one: Float[Tensor, "3 1 h w"], others: Float[Tensor, "3 other _ _"]) -> Float[Tensor, "other h w"]:
    """1 for the same hue, 0 for another one; what is nearly white is like all hues."""
    spread = HUE**2 + (NOISE / one.norm(dim=0).clamp(min=1e-3)) ** 2
    return ((F.cosine_similarity(one, others, dim=0) - 1.0) / spread).exp()


def _surroundings(image: Float[Tensor, "k h w"]) -> Float[Tensor, "k neighbour h w"]:
    side = 2 * REACH + 1
    return F.unfold(image[None], side, padding=REACH).view(len(image), side * side, *image.shape[-2:])


def _nearness(like: Tensor) -> Float[Tensor, "neighbour 1 1"]:
    offset = torch.arange(-REACH, REACH + 1, device=like.device, dtype=like.dtype)
    squared = offset[:, None] ** 2 + offset**2
    return (-squared / (2 * NEARNESS**2)).exp().view(-1, 1, 1)


def _length(color: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 1 h w"]:
    return color.norm(dim=1, keepdim=True)
