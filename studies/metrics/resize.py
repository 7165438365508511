"""Pictures at the size at which they are compared."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

REFERENCE_SIZE = 224  # pixels: Magic123's public evaluation takes LPIPS of the reference view and CLIP-score there


def resized(images: Float[Tensor, "view 3 h w"], side: int = REFERENCE_SIZE) -> Float[Tensor, "view 3 {side} {side}"]:
    """Square pictures in [0, 1], bilinear; anti-aliased where they shrink."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
