"""What every background offers: the colour seen where a ray leaves the object."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from threestudio.utils.base import BaseModule


class BaseBackground(BaseModule):
    """The colour of rays that meet nothing."""

    @dataclass
    class Config(BaseModule.Config):
        pass

    cfg: Config

    def forward(self, dirs: Float[Tensor, "view h w 3"]) -> Float[Tensor, "view h w channel"]:
        """RGB of each ray's direction."""
        raise NotImplementedError
