"""Random draws that depend on nothing but what they are for, so that a resumed run repeats an uninterrupted one."""

import hashlib

import torch

LARGEST_SEED = 2**31 - 1


def draw_generator(seed: int, purpose: str, step: int, rank: int = 0) -> torch.Generator:
    """A fresh CPU generator for what `purpose` draws in `step` on process `rank`."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}/{rank}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
