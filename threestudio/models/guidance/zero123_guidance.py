"""Plain Zero-1-to-3 ("zero123-guidance"), so that upstream's configs run as they are, and extensions find its class.

The cascade without prompt views is this guidance, so it is only handed on to "cascade-zero123-guidance", whose
extension has to be there. What extensions call on upstream's class besides (`get_cond`, `model.apply_model`,
`scheduler`, `encode_images`, `decode_latents`) is here in upstream's shapes: [unconditional views, conditional views].
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

import threestudio
from threestudio.utils.base import BaseObject
from threestudio.utils.config import config_to_primitive
from threestudio.utils.ranges import within

CASCADE = "cascade-zero123-guidance"


@threestudio.register("zero123-guidance")
class Zero123Guidance(BaseObject):
    """Upstream's name for a cascade of one: a plain Zero-1-to-3."""

    @dataclass
    class Config(BaseObject.Config):
        pretrained_model_name_or_path: str = "load/zero123/zero123-xl.ckpt"  # or a folder in diffusers' layout
        pretrained_config: str = ""  # of a checkpoint of other widths than the published ones
        vram_O: bool = True
        half_precision_weights: bool = False
        cond_image_path: str = ""
        cond_elevation_deg: float = within(0.0, -90, 90, "degrees")
        cond_azimuth_deg: float = within(0.0, -720, 720, "degrees")
        cond_camera_distance: float = within(1.2, 0.01, 1000, "world units")
        guidance_scale: float = within(5.0, 0, 1000)
        grad_clip: Any = within(None, 0, 1e9, schedule=True)
        min_step_percent: Any = within(0.02, 0, 1, schedule=True)
        max_step_percent: Any = within(0.98, 0, 1, schedule=True)
        max_items_eval: int = within(4, -1, 10_000)

    cfg: Config
    pose_token = ""  # what the name of the weights says

    def configure(self) -> None:
        given = config_to_primitive(self.cfg)
        weights, config = given.pop("pretrained_model_name_or_path"), given.pop("pretrained_config")
        base = {"weights": weights, "pose_token": self.pose_token}
        if os.path.isfile(weights) and os.path.isfile(config):
            base["config"] = config
        self.cascade = threestudio.find(CASCADE)({**given, "base": base, "prompt_views": []})
        self.model = SimpleNamespace(apply_model=self.apply_model)
        self.scheduler = self.cascade.scheduler

    def set_source(self, rgba: Float[Tensor, "h w 4"], further: Sequence[Any] = ()) -> None:
        """As the cascade's."""
        self.cascade.set_source(rgba, further)

    @property
    def sees_opacity(self) -> bool:
        return self.cascade.sees_opacity

    @property
    def source(self) -> Float[Tensor, "1 c h w"]:
        """The picture as the model sees it."""
        return self.cascade.source

    def save_shown(self, folder: str | Path) -> list[Path]:
        """As the cascade does: nothing, where there is but the source."""
        return self.cascade.save_shown(folder)

    def one_step_views(self, *camera: Float[Tensor, "view"], **kwargs: Any) -> Float[Tensor, "view h w c"]:
        return self.cascade.one_step_views(*camera, **kwargs)

    def __call__(self, rgb: Float[Tensor, "view h w c"], *camera: Any, **batch: Any) -> dict[str, Any]:
        return self.cascade(rgb, *camera, **batch)

    @torch.no_grad()
    def get_cond(
        self,
        elevation: Float[Tensor, "view"],
        azimuth: Float[Tensor, "view"],
        camera_distances: Float[Tensor, "view"],
        **kwargs: Any,
    ) -> dict[str, Any]:
        """What `apply_model` takes for these cameras, in degrees."""
        seen = self.cascade.context(elevation, azimuth, camera_distances)
        both = type(seen).cat([seen.unconditional(), seen])
        return {"c_crossattn": [both.tokens], "c_concat": [both.concat], "context": both}

    def apply_model(
        self, noisy: Float[Tensor, "twice c h w"], timestep: Int[Tensor, "twice"], cond: dict[str, Any]
    ) -> Float[Tensor, "twice c h w"]:
        """The network's output, of the scheduler's prediction type."""
        given = {"tokens": cond["c_crossattn"][0], "concat": cond["c_concat"][0]}
        return self.cascade.refiner.predict(noisy, timestep, dataclasses.replace(cond["context"], **given))

    def encode_images(self, images: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view c lh lw"]:
        """Of images in [0, 1]."""
        return self.cascade.refiner.target_latents(images)

    @torch.no_grad()
    def decode_latents(self, latents: Float[Tensor, "view c lh lw"]) -> Float[Tensor, "view 3 h w"]:
        """To images in [0, 1]."""
        with self.cascade.models.visit("decoder"):
            return self.cascade.refiner.decode(latents)
