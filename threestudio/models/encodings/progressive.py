"""Coarse to fine: a hash grid that opens its levels one by one, so that early geometry stays smooth."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from jaxtyping import Float
from omegaconf import MISSING
from torch import Tensor, nn

from threestudio.models.encodings.hash_grid import HashGrid, HashGridConfig
from threestudio.utils.base import Updateable
from threestudio.utils.config import parse_structured
from threestudio.utils.ranges import within


@dataclass
class ProgressiveConfig(HashGridConfig):
    """Starts with `start_level` levels and, from `start_step` on, opens one more every `update_steps` steps."""

    start_level: int = within(MISSING, 0, 32)
    start_step: int = within(MISSING, 0, 10**9)
    update_steps: int = within(MISSING, 1, 10**9)


class ProgressiveBandHashGrid(nn.Module, Updateable):
    """`config` is a ProgressiveConfig."""

    Config = ProgressiveConfig

    def __init__(self, n_input_dims: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        cfg = parse_structured(self.Config, config)
        self.encoding = HashGrid(n_input_dims, {name.name: cfg[name.name] for name in fields(HashGridConfig)})
        self.n_input_dims, self.n_output_dims = n_input_dims, self.encoding.n_output_dims
        self.start_level: int = cfg.start_level
        self.start_step: int = cfg.start_step
        self.update_steps: int = cfg.update_steps
        self.current_level = self.start_level

    def forward(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point feature"]:
        return self.encoding(points, self.current_level)

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        opened = max(global_step - self.start_step, 0) // self.update_steps
        self.current_level = min(self.start_level + opened, self.encoding.n_levels)
