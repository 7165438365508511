"""Unlit colour: the field's features are the albedo."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

import threestudio
from threestudio.errors import UserError
from threestudio.models.materials.base import BaseMaterial
from threestudio.models.networks import get_activation, get_mlp
from threestudio.utils.ranges import within


@threestudio.register("no-material")
class NoMaterial(BaseMaterial):
    """The features, activated, are the colour."""

    @dataclass
    class Config(BaseMaterial.Config):
        n_output_dims: int = within(3, 1, 256)
        color_activation: str = "sigmoid"
        # Given both, a network turns that many features into the colour.
        input_feature_dims: int | None = within(None, 1, 256)
        mlp_network_config: dict | None = None
        requires_normal: bool = False

    cfg: Config

    def configure(self) -> None:
        self.requires_normal = self.cfg.requires_normal
        self.color_activation = get_activation(self.cfg.color_activation)
        self.network = None
        if self.cfg.input_feature_dims is not None and self.cfg.mlp_network_config is not None:
            self.network = get_mlp(self.cfg.input_feature_dims, self.cfg.n_output_dims, self.cfg.mlp_network_config)

    def forward(self, features: Float[Tensor, "*point feature"], **fields: Any) -> Float[Tensor, "*point channel"]:
        if self.network is not None:
            features = self.network(features.reshape(-1, features.shape[-1])).view(*features.shape[:-1], -1)
        if features.shape[-1] != self.cfg.n_output_dims:
            raise UserError(
                f"no-material: {features.shape[-1]} features from the geometry, but n_output_dims is "
                f"{self.cfg.n_output_dims}; set system.geometry.n_feature_dims to the same"
            )
        return self.color_activation(features)

    def export(self, features: Float[Tensor, "*point feature"], **fields: Any) -> dict[str, Tensor]:
        return {"albedo": self(features)[..., :3].clamp(0.0, 1.0)}
