"""Peak signal-to-noise ratio of pictures in [0, 1]."""

import torch
from jaxtyping import Float
from torch import Tensor

LARGEST_DB = 100.0  # of equal pictures


def psnr(images: Float[Tensor, "view c h w"], truth: Float[Tensor, "view c h w"]) -> Float[Tensor, "view"]:
    """In dB: -10 log10 of the mean squared error over pixels and channels."""
    error = (images - truth).square().flatten(1).mean(1)
    return -10.0 * torch.log10(error.clamp_min(10 ** (-LARGEST_DB / 10)))
