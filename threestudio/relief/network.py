"""The picture's relief, pixel by pixel: a small U-Net (Ronneberger et al. 2015) that looks at one picture and guesses.

Everything has one unit, half of the picture's height in the plane through the origin, so that the numbers do not depend
on how far the camera stands: the front's offset from that plane along the camera's axis (away from the camera), from
the front to the back, and 32 planes of the solid itself, from one unit before that plane to one behind it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from threestudio.utils.residual_block import GROUPS, ResidualBlock

SIZE = 128  # pixels, of pictures and of what is predicted, but for the layers
LAYERS_SIZE = 64
LAYERS = 32
LAYER_OFFSETS = tuple((layer + 0.5) / (LAYERS / 2) - 1.0 for layer in range(LAYERS))
CHANNELS = 7  # of what `ReliefNetwork` is given: see `inputs.py`
FRONT, THICKNESS, NORMAL = slice(0, 1), slice(1, 2), slice(2, 5)
ELEVATION_UNIT_DEG = 30.0


@dataclass(frozen=True)
class Prediction:
    """In the units above; the normal is in camera axes, of length 1. A thickness below 0 is one of 0."""

    front: Float[Tensor, "b h w"]
    thickness: Float[Tensor, "b h w"]
    normal: Float[Tensor, "b 3 h w"]
    layer_logits: Float[Tensor, "b layer lh lw"]
    elevation_deg: Float[Tensor, "b"]


class ReliefNetwork(nn.Module):
    """Half of the picture's size inside: the details come back by the last convolution, which sees the picture."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 192)) -> None:
        super().__init__()
        befores = (4 * CHANNELS, *widths[:-1])
        self.down = nn.ModuleList(ResidualBlock(before, width) for before, width in zip(befores, widths, strict=True))
        self.middle = ResidualBlock(widths[-1], widths[-1])
        pairs = list(zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(ResidualBlock(finer + coarser, finer) for finer, coarser in reversed(pairs))
        self.last = nn.Sequential(nn.GroupNorm(GROUPS, widths[0]), nn.SiLU())
        self.layers = nn.Conv2d(widths[0], LAYERS, 1)
        self.spread = nn.Conv2d(widths[0], 4 * 8, 1)
        self.details = nn.Sequential(nn.Conv2d(8 + CHANNELS, 16, 3, padding=1), nn.GroupNorm(GROUPS, 16), nn.SiLU())
        self.dense = nn.Conv2d(16, NORMAL.stop, 3, padding=1)
        self.pooled = nn.Sequential(nn.GroupNorm(GROUPS, widths[-1]), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.elevation = nn.Sequential(nn.Linear(widths[-1], 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Prediction:
        coarse, middle = self.features(F.pixel_unshuffle(x, 2))
        coarse = self.last(coarse)
        details = torch.cat([F.pixel_shuffle(self.spread(coarse), 2), x], dim=1)
        dense = self.dense(self.details(details)).float()
        return Prediction(
            front=dense[:, FRONT][:, 0],
            thickness=dense[:, THICKNESS][:, 0],
            normal=F.normalize(dense[:, NORMAL], dim=1),
            layer_logits=self.layers(coarse).float(),
            elevation_deg=ELEVATION_UNIT_DEG * self.elevation(self.pooled(middle))[:, 0].float(),
        )

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """At half of the picture's size, and at a sixteenth."""
        kept = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.avg_pool2d(x, 2))
            kept.append(x)
        x = middle = self.middle(kept.pop())
        for block in self.up:
            x = block(torch.cat([kept.pop(), F.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
        return x, middle
