"""Builds a Zero-1-to-3 of chosen widths with random weights: the published architecture is the default."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ..common.errors import UserError, one_line
from ..common.ranges import refuse_numbers
from .model import NETWORK, SCHEDULER, Zero123, settings_of
from .patch_autoencoder import PatchAutoencoder


@dataclass
class Architecture:
    """Constructor arguments of the four parts, by diffusers' and transformers' names."""

    unet: dict[str, Any] = field(default_factory=dict)
    vae: dict[str, Any] = field(default_factory=dict)  # with `patch_size`: a PatchAutoencoder
    image_encoder: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


PUBLISHED = Architecture(
    unet={
        "sample_size": 32,
        "in_channels": 8,
        "out_channels": 4,
        "block_out_channels": (320, 640, 1280, 1280),
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    vae={
        "sample_size": 256,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "scaling_factor": 0.18215,
    },
    image_encoder={
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "image_size": 224,
        "projection_dim": 768,
        "hidden_act": "quick_gelu",
    },
    scheduler={
        "beta_start": 0.00085,
        "beta_end": 0.0120,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    },
)


def build_model(architecture: Architecture = PUBLISHED, key: str = "architecture") -> Zero123:
    """A model with random weights; `cc_projection` maps embedding and pose to the U-Net's cross-attention width.

    `key` is where the architecture is written, for messages.
    """

    def part(name: str, build: Callable[..., Any]) -> Any:
        arguments = getattr(architecture, name)
        refuse_numbers(f"{key}.{name}", arguments, SCHEDULER if name == "scheduler" else NETWORK)
        try:
            return build(**arguments)
        except Exception as error:  # the libraries check arguments in many ways
            raise UserError(f"{key}.{name}: {one_line(error)}") from error

    unet = part("unet", UNet2DConditionModel)
    vae = part("vae", PatchAutoencoder if "patch_size" in architecture.vae else AutoencoderKL)
    image_encoder = part("image_encoder", lambda **given: CLIPVisionModelWithProjection(CLIPVisionConfig(**given)))
    cc_projection = nn.Linear(image_encoder.config.projection_dim + 4, unet.config.cross_attention_dim)
    for takes_pose in (cc_projection, getattr(unet.class_embedding, "linear_1", None)):
        if takes_pose is not None:
            _let_the_pose_be_heard(takes_pose)
    scheduler = part("scheduler", DDIMScheduler)
    settings = settings_of(architecture.settings, f"{key}.settings")
    return Zero123(unet, vae, image_encoder, cc_projection, dict(scheduler.config), settings)


@torch.no_grad()
def _let_the_pose_be_heard(layer: nn.Linear) -> None:
    """Its last four inputs, the pose, start with as much weight together as the embedding before them."""
    layer.weight[:, -4:] *= ((layer.in_features - 4) / 4) ** 0.5
