"""Pictures as a Zero-1-to-3 sees them: colours on white and, for a model of four channels, the object's opacity.

Both are linear in premultiplied colours and alpha, so that the mean of pictures is the picture of the mean, and the
first three channels are what a model of colours alone sees.
"""

import torch
from jaxtyping import Float
from torch import Tensor

CLEARLY = 0.1  # of a channel: a pixel that differs from white by as much is the object's


def on_white(rgba: Float[Tensor, "*view 4 h w"]) -> Float[Tensor, "*view 3 h w"]:
    """Straight alpha composited on white; all in [0, 1]."""
    alpha = rgba[..., 3:, :, :]
    return rgba[..., :3, :, :] * alpha + (1.0 - alpha)


def as_seen(rgba: Float[Tensor, "*view 4 h w"], channels: int) -> Float[Tensor, "*view {channels} h w"]:
    """Straight alpha to the picture that a model of so many channels (3 or 4) sees; all in [0, 1]."""
    return torch.cat([on_white(rgba), rgba[..., 3:, :, :]], dim=-3)[..., :channels, :, :]


def difference_from_white(rgb: Float[Tensor, "*view 3 h w"]) -> Float[Tensor, "*view 1 h w"]:
    """An estimate of the opacity behind colours on white: 1 for what clearly differs from it, 0 for white."""
    return ((1.0 - rgb.amin(dim=-3, keepdim=True)) / CLEARLY).clamp(0, 1)
