"""A picture as the relief network is given it."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from threestudio.relief.network import SIZE


def network_input(rgba: Float[Tensor, "h w 4"]) -> Float[Tensor, "7 s s"]:
    """Colours times alpha, alpha, the distance to the outline, column and row; of a square picture, straight alpha.

    All within [-1, 1], the distance in halves of the picture's height.
    """
    alpha = rgba[..., 3:]
    planes = torch.cat([rgba[..., :3] * alpha, alpha], dim=-1).permute(2, 0, 1)
    planes = F.interpolate(planes[None].float(), (SIZE, SIZE), mode="area")[0]
    along = (torch.arange(SIZE) + 0.5) / (SIZE / 2) - 1.0
    row, column = torch.meshgrid(along, along, indexing="ij")
    return torch.cat([planes, to_outline(planes[3])[None], column[None], row[None]])


def to_outline(alpha: Float[Tensor, "s s"]) -> Float[Tensor, "s s"]:
    """Distance to the nearest pixel outside, 0 there."""
    inside = np.pad((alpha.numpy() > 0.5).astype(np.uint8), 1)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return torch.from_numpy(distance) / (SIZE / 2)
