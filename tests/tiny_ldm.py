"""A checkpoint in the published layout, small enough for tests: file, configuration and tensors."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.synthetic_checkpoint import Sizes, ldm_yaml, random_state

SIZES = Sizes(
    model_channels=32,
    channel_mult=(1, 2),
    num_res_blocks=1,
    attention_resolutions=(2, 1),
    context_dim=16,
    num_heads=4,
    latent_size=8,
    vae_ch=32,
    vae_ch_mult=(1, 2),
    vae_res_blocks=1,
    clip_width=128,
    clip_layers=2,
    clip_patch=8,
    clip_size=24,
    clip_text_width=12,
)
IMAGE_SIZE = 16


def tiny_state(ema: bool = True, seed: int = 0) -> dict[str, torch.Tensor]:
    return random_state(SIZES, ema, seed)


def write_config(folder: Path) -> str:
    path = folder / "tiny.yaml"
    path.write_text(ldm_yaml(SIZES))
    return str(path)


def write_ckpt(path: Path, state: dict, **beside) -> Path:
    torch.save({"global_step": 105000, **beside, "state_dict": state}, path)
    return path


def write_safetensors(path: Path, state: dict) -> Path:
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path
