"""White: behind an object, and as a part of one that is to be seen on white.

A small model takes them for background and predicts views with gaps, and white matter before or behind the object is
invisible to every loss on colours. So the field is fitted to a picture that has the colours around them in their place
(pull-push, Gortler et al. 1996, Sec. 3.4; what is white all over becomes grey). The texture is taken from the picture.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

COLORED, WHITE = 0.5, 0.75  # darkest channel of a pixel that is clearly coloured, and of one that passes for white
WHITISH = 0.89  # of one that would pass for background in a blurred prediction
GREY = 0.6  # of the brightness, for what has nothing coloured around it


def on_white(rgba: Float[Tensor, "view 4 h w"]) -> Float[Tensor, "view 3 h w"]:
    """Straight alpha composited on white; the extension's own is in zero123/white.py, for hosts without this one."""
    rgb, alpha = rgba.split([3, 1], dim=1)
    return rgb * alpha + (1.0 - alpha)


def whitish_share(object_rgb: Float[Tensor, "pixel 3"]) -> float:
    """How much of the object would pass for background."""
    return float((object_rgb.amin(dim=-1) > WHITISH).float().mean()) if len(object_rgb) else 1.0


def without_white(rgba: Float[np.ndarray, "h w 4"]) -> Float[np.ndarray, "h w 4"]:
    """`white_filled` of one picture."""
    planes = torch.from_numpy(rgba).permute(2, 0, 1)[None]
    return white_filled(planes)[0].permute(1, 2, 0).numpy()


def whiteness(rgb: Float[Tensor, "*view 3 h w"]) -> Float[Tensor, "*view 1 h w"]:
    """0 for what is clearly coloured or dark, 1 for what passes for white."""
    return ((rgb.amin(dim=-3, keepdim=True) - COLORED) / (WHITE - COLORED)).clamp(0, 1)


def white_share(rgba: Float[Tensor, "4 h w"]) -> float:
    """How much of the object passes for white, 0 to 1."""
    alpha = rgba[3:]
    return float((whiteness(rgba[:3]) * alpha).sum() / alpha.sum().clamp(min=1e-6))


def white_filled(rgba: Float[Tensor, "view 4 h w"]) -> Float[Tensor, "view 4 h w"]:
    """The object with the colours around them in place of its white parts; straight alpha, which stays."""
    rgb, alpha = rgba.split([3, 1], dim=1)
    white = whiteness(rgb)
    # Of an object that is white all over, the white itself is spread.
    filled = torch.lerp(rgb, _spread(rgb, alpha * (1.0 - white).pow(4).clamp(min=1e-4)), white)
    filled = filled * torch.lerp(torch.ones_like(white), torch.full_like(white, GREY), whiteness(filled).square())
    return torch.cat([filled, alpha], dim=1)


def _spread(values: Float[Tensor, "view c h w"], weight: Float[Tensor, "view 1 h w"]) -> Float[Tensor, "view c h w"]:
    """Weighted means over the smallest neighbourhoods with enough weight: pulled up a pyramid, and pushed down."""
    size = values.shape[-2:]
    if max(size) == 1:
        return values
    halved = F.avg_pool2d(torch.cat([values * weight, weight], dim=1), 2, ceil_mode=True)
    above = halved[:, -1:].clamp(min=1e-12)
    # A mean over a few pixels of which one counts is as sure as that pixel.
    means = _spread(halved[:, :-1] / above, (4.0 * above).clamp(max=1.0))
    return torch.lerp(F.interpolate(means, size, mode="bilinear", align_corners=False), values, weight)
