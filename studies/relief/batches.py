"""Batches of pictures and their true relief, drawn from packed sets; each draw depends on (seed, step) alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from studies.relief.packed import ARRAYS
from threestudio.relief.inputs import network_input
from threestudio.relief.network import LAYERS

GAIN, GAMMA = (0.7, 1.3), (0.7, 1.4)  # of the colours, in training


@dataclass(frozen=True)
class Batch:
    """Offsets and thickness in the network's units; where `hit` is false, they are 0."""

    rgba: Float[Tensor, "b 4 h w"]
    hit: Bool[Tensor, "b h w"]
    front: Float[Tensor, "b h w"]
    thickness: Float[Tensor, "b h w"]
    normal: Float[Tensor, "b 3 h w"]
    inside: Bool[Tensor, "b layer lh lw"]
    elevation_deg: Float[Tensor, "b"]

    @property
    def input(self) -> Float[Tensor, "b c h w"]:
        return torch.stack([network_input(rgba) for rgba in self.rgba.permute(0, 2, 3, 1)])

    @property
    def column_mask(self) -> Float[Tensor, "b lh lw"]:
        """Where the picture shows the object, at the layers' size."""
        return (F.avg_pool2d(self.rgba[:, 3], 2) > 0.5).float()


class ReliefSet:
    """Some packed folders, one after the other."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.parts = [{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS} for folder in folders]
        self.names = [name for folder in folders for name in json.loads((folder / "meta.json").read_text())["names"]]
        self.starts = np.cumsum([0, *(len(part["rgba"]) for part in self.parts)])

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, indices: Int[Tensor, "b"] | Sequence[int]) -> Batch:
        rows = [self.row(int(index)) for index in indices]
        stacked = {name: np.stack([row[name] for row in rows]) for name in ARRAYS}
        front, back = (torch.from_numpy(stacked[name].astype(np.float32)) for name in ("front", "back"))
        rgba = torch.from_numpy(stacked["rgba"]).permute(0, 3, 1, 2).float() / 255
        hit = torch.isfinite(front) & (rgba[:, 3] > 0.5)
        bits = stacked["layers"][:, None] >> np.arange(LAYERS, dtype=np.uint32)[:, None, None]
        return Batch(
            rgba=rgba,
            hit=hit,
            front=torch.where(hit, front, 0.0),
            thickness=torch.where(hit, (back - front).clamp_min(0), 0.0),
            normal=F.normalize(torch.from_numpy(stacked["normal"]).permute(0, 3, 1, 2).float(), dim=1),
            inside=torch.from_numpy((bits & 1).astype(bool)),
            elevation_deg=torch.from_numpy(stacked["elevation"]),
        )

    def row(self, index: int) -> dict[str, np.ndarray]:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return {name: array[index - self.starts[part]] for name, array in self.parts[part].items()}


def training_batch(views: ReliefSet, size: int, seed: int, step: int) -> Batch:
    """Of any pictures, mirrored or not, their colours changed."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + step)
    batch = views.batch(torch.randint(len(views), (size,), generator=generator))
    batch = mirrored(batch, torch.rand(size, generator=generator) < 0.5)
    return recoloured(batch, generator)


def mirrored(batch: Batch, chosen: Bool[Tensor, "b"]) -> Batch:
    def turned(values: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (values.ndim - 1)), values.flip(-1), values)

    sign = torch.where(chosen[:, None, None, None], torch.tensor([-1.0, 1.0, 1.0])[:, None, None], torch.ones(3, 1, 1))
    return Batch(
        rgba=turned(batch.rgba),
        hit=turned(batch.hit),
        front=turned(batch.front),
        thickness=turned(batch.thickness),
        normal=turned(batch.normal) * sign,
        inside=turned(batch.inside),
        elevation_deg=batch.elevation_deg,
    )


def recoloured(batch: Batch, generator: torch.Generator) -> Batch:
    """Channels change places in half of the pictures; gain and gamma in all."""
    count = len(batch.rgba)
    draws = torch.rand(count, 9, generator=generator)
    order = torch.where(draws[:, :1] < 0.5, draws[:, 1:4].argsort(dim=1), torch.arange(3))
    rgb = batch.rgba[:, :3].gather(1, order[:, :, None, None].expand_as(batch.rgba[:, :3]))
    gamma = (GAMMA[0] + (GAMMA[1] - GAMMA[0]) * draws[:, 4])[:, None, None, None]
    gain = (GAIN[0] + (GAIN[1] - GAIN[0]) * draws[:, 5:8])[:, :, None, None]
    rgb = (rgb.pow(gamma) * gain).clamp(0, 1)
    return Batch(**vars(batch) | {"rgba": torch.cat([rgb, batch.rgba[:, 3:]], dim=1)})
