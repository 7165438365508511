"""Upstream's catch-all of helpers: its names, each implemented where it belongs."""

import gc
import os

import torch
from packaging.version import Version
from torch import nn

from threestudio.errors import UserError
from threestudio.utils.checkpoint import load_module_weights
from threestudio.utils.rank import get_rank
from threestudio.utils.schedules import C
from threestudio.utils.seeding import get_seed, set_seed, step_generator

__all__ = [
    "C",
    "cleanup",
    "enable_gradient",
    "find_last_path",
    "get_device",
    "get_rank",
    "get_seed",
    "load_module_weights",
    "parse_version",
    "set_seed",
    "step_generator",
]


def get_device() -> torch.device:
    """This process's CUDA device, or the CPU where there is none."""
    return torch.device(f"cuda:{get_rank()}") if torch.cuda.is_available() else torch.device("cpu")


def cleanup() -> None:
    """Gives unused memory back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def enable_gradient(model: nn.Module, enabled: bool = True) -> None:
    for parameter in model.parameters():
        parameter.requires_grad_(enabled)


def parse_version(version: str) -> Version:
    """To be compared with another: 0.10 is newer than 0.9."""
    return Version(version)


def find_last_path(path: str) -> str:
    """`outputs/a/LAST/ckpts/x.ckpt`: the folder of the last name (so of the last timestamp) stands in for LAST."""
    if "LAST" not in path:
        return path
    prefix, suffix = path.replace(" ", "_").split("LAST", 1)
    folder = os.path.dirname(prefix) or "."
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = [os.path.join(folder, name) for name in names if name.startswith(os.path.basename(prefix))]
    if not found or not os.path.exists(found[-1] + suffix):
        raise UserError(f"{path}: nothing found for LAST in {folder}")
    return found[-1] + suffix
