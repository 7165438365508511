"""Cameras that frame an object as pictures are prepared: its box centred, its larger side a given share of the picture.

Moving and scaling the object before a camera that looks at the origin is done to the camera instead, so that a mesh is
put into Embree once: `position` is the camera's in the mesh's own units, and `scale` turns those into world units.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from threestudio import cameras

HALF_HEIGHT = 0.67  # world units, of the plane through the origin: a field of view of 20 degrees at distance 3.8


@dataclass(frozen=True)
class Framing:
    """`c2w` is in the mesh's units, `distance` and all else in world units."""

    c2w: Float[ndarray, "4 4"]
    fovy_deg: float
    distance: float
    scale: float


def framed(
    points: Float[ndarray, "point 3"], elevation_deg: float, azimuth_deg: float, fovy_deg: float, object_ratio: float
) -> Framing:
    """`points` are the surface's vertices, around the origin."""
    slope = np.tan(np.deg2rad(fovy_deg / 2))
    distance = HALF_HEIGHT / slope
    angles = torch.tensor([[elevation_deg], [azimuth_deg], [distance]], dtype=torch.float64)
    c2w = cameras.orbit(*angles)[0].numpy()
    scale, shift = 1.0, np.zeros(2)
    for _ in range(3):  # perspective: each step leaves a little
        low, high = image_box(scale * points @ c2w[:3, :3] - [*-shift, distance])
        shift = shift - distance * (low + high) / 2
        scale *= object_ratio * slope / ((high - low).max() / 2)
    moved = c2w.copy()
    moved[:3, 3] = (c2w[:3, 3] - c2w[:3, :2] @ shift) / scale
    return Framing(moved, fovy_deg, distance, scale)


def image_box(in_camera: Float[ndarray, "point 3"]) -> tuple[Float[ndarray, "2"], Float[ndarray, "2"]]:
    """Lowest and highest x and y at depth 1."""
    at_depth_1 = in_camera[:, :2] / -in_camera[:, 2:]
    return at_depth_1.min(axis=0), at_depth_1.max(axis=0)
