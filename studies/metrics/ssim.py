"""Structural similarity of pictures in [0, 1]."""

from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure


def ssim(images: Float[Tensor, "view c h w"], truth: Float[Tensor, "view c h w"]) -> Float[Tensor, "view"]:
    """Wang et al. 2004: Gaussian window of sigma 1.5 in 11 x 11 pixels, K1 = 0.01, K2 = 0.03, range 1.

    The mean over all pixels (the picture is mirrored beyond its border) and over colour channels. 1 for equal pictures.
    """
    values = structural_similarity_index_measure(images, truth, reduction="none", data_range=1.0)
    assert isinstance(values, Tensor)  # a pair only where it is asked for the full image
    return values.reshape(len(images))
