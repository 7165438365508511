"""Lambertian shading by one point light (DreamFusion, Sec. 3.2): albedo, shaded, or shaded without texture.

Shading without texture shows the geometry alone, so that no picture can be painted onto a flat card.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

import threestudio
from threestudio.errors import UserError
from threestudio.models.materials.base import BaseMaterial
from threestudio.models.networks import get_activation
from threestudio.utils.misc import get_seed, step_generator
from threestudio.utils.ranges import within

SHADINGS = ("albedo", "textureless", "diffuse")


@threestudio.register("diffuse-with-point-light-material")
class DiffuseWithPointLightMaterial(BaseMaterial):
    """Lambertian under a point light and ambient light, after DreamFusion; albedo alone by a schedule."""

    @dataclass
    class Config(BaseMaterial.Config):
        ambient_light_color: tuple[float, float, float] = within((0.1, 0.1, 0.1), 0, 100)
        diffuse_light_color: tuple[float, float, float] = within((0.9, 0.9, 0.9), 0, 100)
        # Until this step there is no shading.
        ambient_only_steps: int = within(1000, 0, 10**9, "steps")
        # After it: how often a call shades, and how often such a call leaves the texture out.
        diffuse_prob: float = within(0.75, 0, 1)
        textureless_prob: float = within(0.5, 0, 1)
        albedo_activation: str = "sigmoid"
        # Draw the share of ambient light for each call in training.
        soft_shading: bool = False
        ambient_only_on_test: bool = False

    cfg: Config
    ambient_light_color: Float[Tensor, "3"]
    diffuse_light_color: Float[Tensor, "3"]

    def configure(self) -> None:
        self.register_buffer("ambient_light_color", torch.tensor(tuple(self.cfg.ambient_light_color)))
        self.register_buffer("diffuse_light_color", torch.tensor(tuple(self.cfg.diffuse_light_color)))
        self.albedo_activation = get_activation(self.cfg.albedo_activation)
        self.ambient_only = False
        self.update_step(0, 0)

    @property
    def requires_normal(self) -> bool:  # type: ignore[override]
        """False while everything is shown by ambient light alone."""
        return not (self.ambient_only or (not self.training and self.cfg.ambient_only_on_test))

    def needs_normal(self, shading: str | None = None, ambient_ratio: float | None = None, **others: Any) -> bool:
        if ambient_ratio == 1.0 or shading == "albedo":
            return False
        return shading is not None or self.requires_normal

    def forward(
        self,
        features: Float[Tensor, "*point feature"],
        positions: Float[Tensor, "*point 3"],
        light_positions: Float[Tensor, "*point 3"],
        shading_normal: Float[Tensor, "*point 3"] | None = None,
        ambient_ratio: float | None = None,
        shading: str | None = None,
        **fields: Any,
    ) -> Float[Tensor, "*point 3"]:
        """`shading` is one of SHADINGS, or None to follow the schedule; `ambient_ratio` replaces the light colours."""
        albedo = self.albedo_activation(features[..., :3])
        shading = self._scheduled_shading() if shading is None else shading
        if shading not in SHADINGS:
            raise UserError(f"unknown shading {shading}; known are {', '.join(SHADINGS)}")
        if shading == "albedo":
            return albedo
        ambient, diffuse = self._light_colors(ambient_ratio)
        light = ambient.expand_as(positions)
        if shading_normal is not None:
            to_light = F.normalize(light_positions - positions, dim=-1)
            light = light + diffuse * (shading_normal * to_light).sum(-1, keepdim=True).clamp(min=0.0)
        elif ambient_ratio != 1.0:
            raise ValueError(f"{shading} shading needs normals")
        return light if shading == "textureless" else albedo.clamp(0.0, 1.0) * light

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        self.ambient_only = global_step < self.cfg.ambient_only_steps
        self._generator = step_generator(get_seed(), "shading", global_step)

    def export(self, features: Float[Tensor, "*point feature"], **fields: Any) -> dict[str, Tensor]:
        return {"albedo": self.albedo_activation(features[..., :3]).clamp(0.0, 1.0)}

    def _scheduled_shading(self) -> str:
        """The same for a whole call."""
        if not self.training:
            return "diffuse" if self.requires_normal else "albedo"
        if self.ambient_only or self._draw() > self.cfg.diffuse_prob:
            return "albedo"
        return "textureless" if self._draw() < self.cfg.textureless_prob else "diffuse"

    def _light_colors(self, ambient_ratio: float | None) -> tuple[Tensor, Tensor]:
        if ambient_ratio is None and self.training and self.cfg.soft_shading:
            ambient_ratio = 1.0 - self._draw()
        if ambient_ratio is None:
            return self.ambient_light_color, self.diffuse_light_color
        white = torch.ones_like(self.ambient_light_color)
        return ambient_ratio * white, (1.0 - ambient_ratio) * white

    def _draw(self) -> float:
        return float(torch.rand((), generator=self._generator))
