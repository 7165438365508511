"""Blurred pictures of an object on white, cut out.

A one-step prediction is the mean of all views that are plausible. Where the object is in some of them only, it shows
the colour of the object thinned with white, as a half transparent object would (Porter and Duff 1984): a field that is
fitted to it as it is becomes wide, and pale at its outlines. So the full colour is guessed first: that of the pixels
around it of the same hue, the strongest counting most (a bilateral filter, Tomasi and Manduchi 1998). How much of it a
pixel has is the share of the plausible views that show the object there, and its outline is where half of them do.
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
FAINTEST = 0.15  # difference from white of what may be an object


def cut_out(rgb: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 4 h w"]:
    """The object with straight alpha; `rgb` in [0, 1] on white."""
    full = F.interpolate(_full_colors(_reduced(1.0 - rgb)), rgb.shape[-2:], mode="bilinear", align_corners=False)
    difference = 1.0 - rgb
    share = _length(difference) / _length(full).clamp(min=FAINTEST)
    colors = 1.0 - difference / share.clamp(FEW, 1.0)
    return torch.cat([colors.clamp(0, 1), ((share - FEW) / (MOST - FEW)).clamp(0, 1)], dim=1)


def on_white(rgba: Float[Tensor, "view 4 h w"]) -> Float[Tensor, "view 3 h w"]:
    rgb, alpha = rgba.split([3, 1], dim=1)
    return rgb * alpha + (1.0 - alpha)


def _reduced(images: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 3 _ _"]:
    height, width = images.shape[-2:]
    factor = min(1.0, WORKING_SIZE / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def _full_colors(difference: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 3 h w"]:
    """Differences from white of the object where it is not thinned."""
    return torch.stack([_full_colors_of(view) for view in difference])


def _full_colors_of(difference: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 h w"]:
    around = _surroundings(difference)
    cosine = F.cosine_similarity(difference[:, None], around, dim=0)
    spread = HUE**2 + (NOISE / difference.norm(dim=0).clamp(min=1e-3)) ** 2
    weight = _nearness(difference) * ((cosine - 1.0) / spread).exp() * around.norm(dim=0).pow(4) + 1e-12
    return (weight * around).sum(dim=1) / weight.sum(dim=0)


def _surroundings(image: Float[Tensor, "k h w"]) -> Float[Tensor, "k neighbour h w"]:
    side = 2 * REACH + 1
    return F.unfold(image[None], side, padding=REACH).view(len(image), side * side, *image.shape[-2:])


def _nearness(like: Tensor) -> Float[Tensor, "neighbour 1 1"]:
    offset = torch.arange(-REACH, REACH + 1, device=like.device, dtype=like.dtype)
    squared = offset[:, None] ** 2 + offset**2
    return (-squared / (2 * NEARNESS**2)).exp().view(-1, 1, 1)


def _length(color: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 1 h w"]:
    return color.norm(dim=1, keepdim=True)
