"""Random draws that depend on nothing but (seed, purpose, step), so that a resumed run repeats an uninterrupted one."""

import hashlib

import torch

from threestudio.errors import UserError

LARGEST_SEED = 2**31 - 1  # numpy takes twice as much, less the rank that is added for each process
_seed = 0


def set_seed(seed: int) -> None:
    """Called once by launch.py, with the config's `seed`."""
    global _seed
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"seed: {seed} is not within 0 and {LARGEST_SEED}")
    _seed = seed


def get_seed() -> int:
    return _seed


def step_generator(seed: int, purpose: str, step: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh generator for what `purpose` draws in `step`; different purposes and steps are independent."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)
