"""The block that the small convolutional networks of a picture are made of."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

GROUPS = 8  # of each normalisation


class ResidualBlock(nn.Module):
    """Two convolutions around which the input goes by (He et al. 2016), each after a group normalisation."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(before, after, 1)
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, after) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(after, after, 3, padding=1) for _ in range(2))

    def forward(self, x: Float[Tensor, "b before h w"]) -> Float[Tensor, "b after h w"]:
        x = h = self.enter(x)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            h = convolution(F.silu(norm(h)))
        return x + h
