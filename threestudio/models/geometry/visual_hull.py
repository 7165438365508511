"""Space that the picture shows to be empty: what lies outside the cone of its silhouette (Laurentini 1994).

With one picture the hull is a cone. The field's density is multiplied by it, so that nothing outside it is ever
sampled, fitted or meshed: no floaters beside the object as seen in the picture, and half of the work or less.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

SIZE = 128  # pixels of the kept silhouette
MARGIN = 2  # of these pixels, around it: the mask of a soft or misjudged outline must not cut into the object


class VisualHull(nn.Module):
    """1 inside the silhouette's cone, 0 outside, a soft step between; 1 everywhere until `carve` is called."""

    silhouette: Float[Tensor, "1 1 s s"]
    world_to_clip: Float[Tensor, "4 4"]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("silhouette", torch.ones(1, 1, SIZE, SIZE))
        self.register_buffer("world_to_clip", torch.zeros(4, 4))
        self.world_to_clip[3, 3] = 1.0  # every point falls on the middle of the picture

    def carve(self, mask: Bool[Tensor, "h w"], world_to_clip: Float[Tensor, "4 4"]) -> None:
        """`mask` is where the picture shows the object, `world_to_clip` its camera (OpenGL clip coordinates)."""
        coverage = F.interpolate(mask[None, None].float(), (SIZE, SIZE), mode="area")
        grown = F.max_pool2d((coverage > 0).float(), 2 * MARGIN + 1, stride=1, padding=MARGIN)
        self.silhouette.copy_(F.avg_pool2d(grown, 3, stride=1, padding=1, count_include_pad=False))
        self.world_to_clip.copy_(world_to_clip)

    def forward(self, points: Float[Tensor, "*point 3"]) -> Float[Tensor, "*point 1"]:
        """Not differentiable by the points: the hull is a fact, not a surface to be fitted."""
        flat = points.detach().reshape(-1, 3)
        clip = flat @ self.world_to_clip[:, :3].T + self.world_to_clip[:, 3]
        grid = clip[:, :2] / clip[:, 3:] * clip.new_tensor([1.0, -1.0])
        inside = F.grid_sample(self.silhouette, grid[None, None], mode="bilinear", align_corners=False)
        return inside.view(*points.shape[:-1], 1)
