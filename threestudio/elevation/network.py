"""A distribution over the elevations from which a picture may have been taken, by a few convolutions.

A distribution, not a number: of a ball any elevation is as likely as another, and whoever asks should be told so.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from threestudio.utils.residual_block import GROUPS, ResidualBlock

SIZE = 64  # pixels, of what the network is given
OBJECT_RATIO = 0.75  # larger side of the object's box / side of the picture
BIN_DEG = 5.0
CENTRES_DEG = tuple(-20.0 + BIN_DEG * number for number in range(19))  # -20 to 70
PLANES = 6  # colours times alpha, alpha, column, row


class ElevationNetwork(nn.Module):
    """Half of the picture's size in its first stage, a sixteenth in its last, whose means over the picture decide."""

    def __init__(self, widths: tuple[int, ...] = (24, 40, 72, 112)) -> None:
        super().__init__()
        befores = (4 * PLANES, *widths[:-1])
        self.stages = nn.ModuleList(ResidualBlock(before, width) for before, width in zip(befores, widths, strict=True))
        self.norm = nn.GroupNorm(GROUPS, widths[-1])
        self.head = nn.Sequential(nn.Linear(2 * widths[-1], 96), nn.SiLU(), nn.Linear(96, len(CENTRES_DEG)))

    def forward(self, x: Float[Tensor, "b 4 s s"]) -> Float[Tensor, "b bin"]:
        """Log-probabilities, not normalised, of square pictures: straight colours and alpha, as `framed` gives them."""
        x = F.pixel_unshuffle(with_places(x), 2)
        for level, stage in enumerate(self.stages):
            x = stage(x if level == 0 else F.avg_pool2d(x, 2))
        x = F.silu(self.norm(x))
        return self.head(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)).float()


def with_places(rgba: Float[Tensor, "b 4 s s"]) -> Float[Tensor, "b 6 s s"]:
    """Colours times alpha, less their mean grey, alpha, and where each pixel lies, in [-1, 1]."""
    alpha = rgba[:, 3:]
    along = torch.linspace(-1, 1, rgba.shape[-1], dtype=rgba.dtype)
    row, column = (axis.expand(len(rgba), 1, -1, -1) for axis in torch.meshgrid(along, along, indexing="ij"))
    return torch.cat([(rgba[:, :3] - 0.5) * alpha, alpha, column, row], dim=1)
