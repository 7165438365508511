"""The light of one object's pictures."""

from typing import NamedTuple

import numpy as np

from threestudio.mesh.renderer import AMBIENT, LIGHT_ELEVATION_DEG

AMBIENTS, ELEVATIONS_DEG = (0.4, 1.0), (-10.0, 85.0)


class DiffuseLight(NamedTuple):
    """What `render_mesh` and `Light.in_the_world` are told, in their order."""

    azimuth_deg: float
    elevation_deg: float = LIGHT_ELEVATION_DEG
    ambient: float = AMBIENT


def usual_light(rng: np.random.Generator) -> DiffuseLight:
    """From any side."""
    return DiffuseLight(rng.uniform(-180.0, 180.0))


def any_light(rng: np.random.Generator) -> DiffuseLight:
    """From anywhere, of any strength."""
    return DiffuseLight(rng.uniform(-180.0, 180.0), rng.uniform(*ELEVATIONS_DEG), rng.uniform(*AMBIENTS))
