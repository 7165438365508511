"""A surface as tensors, under upstream's names, for extensions; what this runtime does with meshes is in `mesh/`."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


class Mesh:
    """Positions in world units, triangles as vertex numbers; `extras` is whatever a geometry hands on beside them."""

    def __init__(self, v_pos: Float[Tensor, "vertex 3"], t_pos_idx: Int[Tensor, "face 3"], **extras: Any) -> None:
        self.v_pos, self.t_pos_idx = v_pos, t_pos_idx
        self.extras: dict[str, Any] = dict(extras)
        self.v_rgb: Float[Tensor, "vertex 3"] | None = None

    def add_extra(self, key: str, value: Any) -> None:
        self.extras[key] = value

    def set_vertex_color(self, v_rgb: Float[Tensor, "vertex 3"]) -> None:
        """In [0, 1]."""
        self.v_rgb = v_rgb

    @property
    def requires_grad(self) -> bool:
        return self.v_pos.requires_grad

    @property
    def v_nrm(self) -> Float[Tensor, "vertex 3"]:
        """Unit normals: the mean of the adjacent faces', weighted by area."""
        corners = self.v_pos[self.t_pos_idx.long()]
        twice_area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        summed = torch.zeros_like(self.v_pos)
        for corner in range(3):
            summed = summed.index_add(0, self.t_pos_idx[:, corner].long(), twice_area)
        return F.normalize(summed, dim=-1)
