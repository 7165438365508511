"""Coarse to fine: a hash grid that opens its levels one by one, so that early geometry stays smooth."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from threestudio.models.encodings.hash_grid import HashGrid
from threestudio.utils.base import Updateable


class ProgressiveBandHashGrid(nn.Module, Updateable):
    """Starts with `start_level` levels and, from `start_step` on, opens one more every `update_steps` steps."""

    def __init__(self, n_input_dims: int, config: dict[str, Any]) -> None:
        super().__init__()
        self.encoding = HashGrid(n_input_dims, config)
        self.n_input_dims, self.n_output_dims = n_input_dims, self.encoding.n_output_dims
        self.start_level: int = config["start_level"]
        self.start_step: int = config["start_step"]
        self.update_steps: int = config["update_steps"]
        self.current_level = self.start_level

    def forward(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point feature"]:
        return self.encoding(points, self.current_level)

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        opened = max(global_step - self.start_step, 0) // self.update_steps
        self.current_level = min(self.start_level + opened, self.encoding.n_levels)
