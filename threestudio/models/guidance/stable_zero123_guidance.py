"""Stable Zero123, whose pose token has the source's elevation in it ("stable-zero123-guidance")."""

from dataclasses import dataclass

import threestudio
from threestudio.models.guidance.zero123_guidance import Zero123Guidance


@threestudio.register("stable-zero123-guidance")
class StableZero123Guidance(Zero123Guidance):
    """Upstream's name for the guidance by Stable Zero123, whose pose token is another."""

    @dataclass
    class Config(Zero123Guidance.Config):
        pretrained_model_name_or_path: str = "load/zero123/stable_zero123.ckpt"

    cfg: Config
    pose_token = "stable-zero123"
