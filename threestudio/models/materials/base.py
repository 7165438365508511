"""What every material offers: the colour of a point from its features."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from threestudio.utils.base import BaseModule


class BaseMaterial(BaseModule):
    """Turns features of points into the colour that is seen."""

    @dataclass
    class Config(BaseModule.Config):
        pass

    cfg: Config
    requires_normal: bool = False
    requires_tangent: bool = False

    def needs_normal(self, **shading: Any) -> bool:
        """Whether a call with these keywords would look at normals, which are costly."""
        return self.requires_normal

    def forward(self, *positional: Any, **fields: Any) -> Float[Tensor, "*point 3"]:
        """RGB in [0, 1] from `features`, `viewdirs`, `positions`, `light_positions` and the geometry's outputs."""
        raise NotImplementedError

    def export(self, features: Float[Tensor, "*point feature"], **fields: Any) -> dict[str, Tensor]:
        """What a texture stores: `albedo` in [0, 1]."""
        return {}
