"""Encodings of points in the unit cube, chosen by tiny-cuda-nn's `otype`."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from threestudio.errors import UserError
from threestudio.models.encodings.hash_grid import HashGrid
from threestudio.models.encodings.progressive import ProgressiveBandHashGrid
from threestudio.utils.base import Updateable

ENCODINGS: dict[str, type[HashGrid] | type[ProgressiveBandHashGrid]] = {
    "HashGrid": HashGrid,
    "ProgressiveBandHashGrid": ProgressiveBandHashGrid,
}


class CompositeEncoding(nn.Module, Updateable):
    """An encoding, behind the coordinates themselves (in [-1, 1]) where `include_xyz` is set."""

    def __init__(self, encoding: HashGrid | ProgressiveBandHashGrid, include_xyz: bool = False) -> None:
        super().__init__()
        self.encoding, self.include_xyz = encoding, include_xyz
        self.n_output_dims = encoding.n_output_dims + (encoding.n_input_dims if include_xyz else 0)

    def forward(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point feature"]:
        features = self.encoding(points)
        return torch.cat([points * 2.0 - 1.0, features], dim=-1) if self.include_xyz else features


def get_encoding(n_input_dims: int, config: Mapping[str, Any]) -> CompositeEncoding:
    """The encoding that `config.otype` names, of points in [0, 1]."""
    name = config.get("otype", "HashGrid")
    if name not in ENCODINGS:
        raise UserError(f"pos_encoding_config.otype: unknown encoding {name}; supported are {', '.join(ENCODINGS)}")
    encoding = ENCODINGS[name](n_input_dims, config)
    return CompositeEncoding(encoding, include_xyz=bool(config.get("include_xyz", False)))
