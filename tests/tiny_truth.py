"""A truth-teller that knows a box with coloured sides, in pictures of 64 px."""

from functools import lru_cache

import numpy as np
import torch
import trimesh
from cascade_zero123.views import Cameras

from studies.meshes.scores import Truth
from studies.truth_teller.denoiser import Mind
from studies.truth_teller.errors import Errors
from studies.truth_teller.true_views import TrueViews

SIZE, FOVY_DEG, DISTANCE = 64, 49.1, 1.5
SIDES = ((220, 60, 40), (40, 60, 220), (60, 200, 80), (220, 200, 40), (180, 60, 200), (60, 60, 60))


def coloured_box() -> trimesh.Trimesh:
    """0.5 x 0.8 x 0.4, each side of another colour, the front (+x) red and the back blue."""
    box = trimesh.creation.box(extents=(0.5, 0.8, 0.4))
    sides = np.argmax(np.abs(box.face_normals), axis=1) * 2 + (box.face_normals.sum(axis=1) < 0)
    box.visual.face_colors = np.array([(*rgb, 255) for rgb in SIDES], np.uint8)[sides]
    return box


@lru_cache
def true_views(size: int = SIZE) -> TrueViews:
    return TrueViews(Truth(coloured_box()), FOVY_DEG, size)


def mind(errors: Errors | None = None, **more) -> Mind:
    return Mind(true_views(), Cameras.one(10.0, 0.0, DISTANCE), errors or Errors(), **more)


def camera(elevation_deg: float, azimuth_deg: float) -> Cameras:
    return Cameras.one(elevation_deg, azimuth_deg, DISTANCE)


def around(count: int, elevation_deg: float = 20.0) -> Cameras:
    azimuth = torch.arange(count) * 360.0 / count + 5.0
    return Cameras(torch.full_like(azimuth, elevation_deg), azimuth, torch.full_like(azimuth, DISTANCE))
