"""The background of all pictures that a Zero-1-to-3 sees."""

from jaxtyping import Float
from torch import Tensor


def on_white(rgba: Float[Tensor, "*view 4 h w"]) -> Float[Tensor, "*view 3 h w"]:
    """Straight alpha composited on white; all in [0, 1]."""
    alpha = rgba[..., 3:, :, :]
    return rgba[..., :3, :, :] * alpha + (1.0 - alpha)
