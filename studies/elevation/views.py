"""Views of objects with their true elevations, from packed sets; framed and changed as pictures of people differ.

Every draw depends on (seed, step) alone.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from threestudio.elevation.network import CENTRES_DEG, OBJECT_RATIO, SIZE

RATIOS = (0.66, 0.84)  # larger side of the object's box / side of the picture, in training
ROLL_DEG = 4.0  # how crooked people hold a camera
SHIFT = 0.04  # of the picture's half side
GAMMA, GAIN = (0.6, 1.6), (0.7, 1.3)
GREY_SHARE = 0.15  # of the pictures lose their colours
LEAST_AREA = 40  # pixels, of what can be called a picture of something


class ViewSet:
    """Some packed folders, one after the other; views from beyond the network's range are left out."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.images = [np.load(folder / "images.npy", mmap_mode="r") for folder in folders]
        angles = [np.load(folder / "angles.npy")[..., 0] for folder in folders]
        self.places = np.concatenate([_places(part, elevation_deg) for part, elevation_deg in enumerate(angles)])
        self.elevation_deg = torch.from_numpy(
            np.array([angles[part][thing, view] for part, thing, view in self.places], np.float32)
        )

    def __len__(self) -> int:
        return len(self.places)

    def first_of_each(self, objects: int, seed: int = 0) -> "Int[np.ndarray, 'b']":
        """One view of each of so many objects, drawn once and for all."""
        order = np.random.default_rng(seed).permutation(len(self))
        _, firsts = np.unique(self.places[order, 1], return_index=True)
        return np.sort(order[np.sort(firsts)[:objects]])

    def rgba(self, indices: Sequence[int] | np.ndarray) -> Float[Tensor, "b 4 h w"]:
        views = [self.images[part][thing, view] for part, thing, view in self.places[np.asarray(indices)]]
        return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255


def _places(part: int, elevation_deg: Float[np.ndarray, "thing view"]) -> Int[np.ndarray, "place 3"]:
    thing, view = np.nonzero((elevation_deg > CENTRES_DEG[0]) & (elevation_deg < CENTRES_DEG[-1]))
    return np.stack([np.full_like(thing, part), thing, view], axis=1)


def training_batch(views: ViewSet, size: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Pictures [b 4 s s] and elevations in degrees."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + step)
    indices = torch.randint(len(views), (size,), generator=generator)
    rgba = views.rgba(indices.tolist())
    draws = torch.rand(size, 8, generator=generator)
    ratio = RATIOS[0] + (RATIOS[1] - RATIOS[0]) * draws[:, 0]
    roll = math.radians(ROLL_DEG) * (2 * draws[:, 1] - 1)
    shift = SHIFT * (2 * draws[:, 2:4] - 1)
    mirror = torch.where(draws[:, 4] < 0.5, -1.0, 1.0)
    seen = reframed(rgba, ratio, roll, shift, mirror)
    return recoloured(seen, draws[:, 5:], generator), views.elevation_deg[indices]


def usual(rgba: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b 4 s s"]:
    """Framed as pictures are prepared, nothing else changed."""
    count = len(rgba)
    return reframed(
        rgba, torch.full((count,), OBJECT_RATIO), torch.zeros(count), torch.zeros(count, 2), torch.ones(count)
    )


def reframed(
    rgba: Float[Tensor, "b 4 h w"],
    ratio: Float[Tensor, "b"],
    roll: Float[Tensor, "b"],
    shift: Float[Tensor, "b 2"],
    mirror: Float[Tensor, "b"],
) -> Float[Tensor, "b 4 s s"]:
    """The object's box in the middle, its larger side `ratio` of the picture's, then rolled, shifted, mirrored."""
    centre, half = boxes(rgba[:, 3])
    scale = half / ratio
    cosine, sine = roll.cos() * scale, roll.sin() * scale
    rows = [
        torch.stack([mirror * cosine, -sine, centre[:, 0] + shift[:, 0]], dim=1),
        torch.stack([mirror * sine, cosine, centre[:, 1] + shift[:, 1]], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), [len(rgba), 4, SIZE, SIZE], align_corners=False)
    premultiplied = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
    seen = F.grid_sample(premultiplied, grid, mode="bicubic", align_corners=False).clamp(0, 1)
    colours = (seen[:, :3] / seen[:, 3:].clamp(min=1e-3)).clamp(0, 1)
    return torch.cat([colours, seen[:, 3:]], dim=1)


def boxes(alpha: Float[Tensor, "b h w"]) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b"]]:
    """Middle (column, row) and half of the larger side of what is opaque, the picture being [-1, 1]."""
    sides = []
    for axis in (1, 2):
        there = (alpha > 0.5).any(dim=axis).float()
        first, last = there.argmax(dim=1), there.shape[1] - there.flip(1).argmax(dim=1)
        sides.append((2 * first / there.shape[1] - 1, 2 * last / there.shape[1] - 1))
    centre = torch.stack([(low + high) / 2 for low, high in sides], dim=1)
    half = torch.stack([(high - low) / 2 for low, high in sides]).amax(dim=0)
    return centre, half.clamp(min=0.02)


def recoloured(
    rgba: Float[Tensor, "b 4 s s"], draws: Float[Tensor, "b 3"], generator: torch.Generator
) -> Float[Tensor, "b 4 s s"]:
    """Channels mixed, gain and gamma: colours say little about elevation, and those of toys less."""
    count = len(rgba)
    mix = torch.eye(3) + 0.25 * torch.randn(count, 3, 3, generator=generator)
    mix = torch.where((draws[:, 0] < GREY_SHARE)[:, None, None], torch.full((3, 3), 1 / 3), mix)
    mix = mix / mix.sum(dim=2, keepdim=True).clamp(min=0.3)
    rgb = torch.einsum("bij,bjhw->bihw", mix, rgba[:, :3]).clamp(1e-4, 1)
    gamma, gain = (low + (high - low) * draw for (low, high), draw in zip((GAMMA, GAIN), draws[:, 1:].T, strict=True))
    rgb = (rgb.pow(gamma[:, None, None, None]) * gain[:, None, None, None]).clamp(0, 1)
    return torch.cat([rgb, rgba[:, 3:]], dim=1)
