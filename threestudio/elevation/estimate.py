"""The elevation of one prepared picture, and how sure of it the network is."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from threestudio.elevation.network import BIN_DEG, CENTRES_DEG, OBJECT_RATIO, SIZE, ElevationNetwork
from threestudio.elevation.weights import load_elevation_network

SURE, UNSURE = 7.0, 13.0  # degrees of spread: below the one it is nearly always near, above the other it guesses


@dataclass(frozen=True)
class Elevation:
    """`deg` has half of the probability below it; the truth is within `spread_deg` of it in two cases of three."""

    deg: float
    spread_deg: float

    @property
    def sureness(self) -> str:
        if self.spread_deg <= SURE:
            return "sure"
        return "not sure at all" if self.spread_deg > UNSURE else "fairly sure"

    def __str__(self) -> str:
        return f"{self.deg:.0f} degrees, give or take {self.spread_deg:.0f} ({self.sureness})"


def elevation_of(rgba: Float[np.ndarray, "h w 4"], network: ElevationNetwork | None = None) -> Elevation:
    """Of a cut-out picture (straight alpha, in [0, 1]); by the bundled network."""
    return summarised(network or load_elevation_network(), framed(rgba)[None])[0]


def framed(rgba: Float[np.ndarray, "h w 4"]) -> Float[Tensor, "4 s s"]:
    """The object's box centred, its larger side OBJECT_RATIO of the picture's, at the network's size."""
    opaque = rgba[..., 3] > 0.5
    rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    if not len(rows):
        raise ValueError("nothing in the picture is opaque")
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    cut = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    scale = OBJECT_RATIO * SIZE / side
    height, width = (max(1, round(length * scale)) for length in cut.shape[:2])
    cut = np.concatenate([cut[..., :3] * cut[..., 3:], cut[..., 3:]], axis=-1)
    small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    picture = np.zeros((SIZE, SIZE, 4), np.float32)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    picture[top : top + height, left : left + width] = small
    picture[..., :3] /= np.maximum(picture[..., 3:], 1e-3)
    return torch.from_numpy(picture.clip(0, 1)).permute(2, 0, 1)


@torch.no_grad()
def summarised(network: ElevationNetwork, rgba: Float[Tensor, "b 4 s s"]) -> list[Elevation]:
    """Of each picture and its mirror image, whose elevation is the same."""
    own, mirrored = (torch.softmax(network(one), dim=1) for one in (rgba, rgba.flip(-1)))
    return [summary(probability) for probability in ((own + mirrored) / 2).numpy()]


def summary(probability: Float[np.ndarray, "bin"]) -> Elevation:
    """The median, which is the least wrong on average, and half of the middle 68 %."""
    edges = np.append(np.array(CENTRES_DEG) - BIN_DEG / 2, CENTRES_DEG[-1] + BIN_DEG / 2)
    below = np.concatenate([[0.0], np.cumsum(probability / probability.sum())])
    low, middle, high = np.interp([0.16, 0.5, 0.84], below, edges)
    return Elevation(float(middle), float(high - low) / 2)
