"""The views of one object: where its cameras stand, and what they see."""

import argparse
import math

import numpy as np
import torch
import trimesh
from cascade_zero123.cascade.stages import NEARBY_DEG
from cascade_zero123.zero123.pose import pose_from_world_to_camera
from jaxtyping import Float, UInt8
from numpy import ndarray

from studies.rendering.lights import DiffuseLight, usual_light
from threestudio.cameras import orbit
from threestudio.mesh.renderer import render_mesh

FRONT_HALF_WIDTH_DEG = 50.0
SOURCE_ELEVATION_DEG = (-5.0, 25.0)

# What a layout's options are where none are given. `random`: the Blender script of Zero-1-to-3, a lens of 35 mm before
# a sensor of 32 mm. `cascade`: the model that ships here.
DEFAULTS = {
    "random": {
        "size": 512,
        "fovy_deg": round(math.degrees(2 * math.atan(32 / 2 / 35)), 2),
        "distance": (1.5, 2.2),
        "elevation_range": None,
    },
    "cascade": {"size": 64, "fovy_deg": 20.0, "distance": (3.8, 3.8), "elevation_range": (-10.0, 60.0)},
}


def view_angles(options: argparse.Namespace, rng: np.random.Generator) -> Float[ndarray, "view 3"]:
    """(elevation, azimuth in degrees, distance) of one object's views."""
    if options.elevation_range is None:
        directions = directions_in_a_cube(options.views, rng)
    else:
        lowest, highest = options.elevation_range
        elevation_deg = rng.uniform(lowest, highest, options.views)
        directions = np.stack([elevation_deg, rng.uniform(-180.0, 180.0, options.views)], axis=1)
    nearest, farthest = options.distance
    angles = np.concatenate([directions, rng.uniform(nearest, farthest, (options.views, 1))], axis=1)
    if options.layout == "cascade":
        # People photograph fronts, so half of the sources are near one; the others keep the model from relying on it.
        half_width = FRONT_HALF_WIDTH_DEG if rng.uniform() < 0.5 else 180.0
        elevation_range = options.source_elevation_range or SOURCE_ELEVATION_DEG
        source = np.array([rng.uniform(*elevation_range), rng.uniform(-half_width, half_width), angles[0, 2]])
        angles[0] = source
        for row, (azimuth, elevation) in enumerate(NEARBY_DEG, start=1):
            angles[row] = source + (elevation, azimuth, 0.0)
    return angles


def directions_in_a_cube(count: int, rng: np.random.Generator) -> Float[ndarray, "view 2"]:
    """Elevation and azimuth in degrees, all around, as Zero-1-to-3 draws them: of points in a cube."""
    points = torch.from_numpy(rng.uniform(-1.0, 1.0, (count, 3)))
    unturned = torch.cat([torch.eye(3, dtype=points.dtype).expand(count, 3, 3), -points[:, :, None]], dim=2)
    pose = pose_from_world_to_camera(unturned)
    return torch.stack([pose.elevation_deg, pose.azimuth_deg], dim=1).numpy()


def render(
    mesh: trimesh.Trimesh | trimesh.Scene,
    options: argparse.Namespace,
    rng: np.random.Generator,
    light: DiffuseLight | None = None,
) -> tuple[UInt8[ndarray, "view h w 4"], Float[ndarray, "view 3 4"], Float[ndarray, "view 3"]]:
    """Pictures, world-to-camera matrices and angles of one object, all in the same light, drawn where none is given."""
    torch.set_num_threads(1)
    angles = view_angles(options, rng)
    c2w = orbit(*torch.from_numpy(angles).T)
    camera = (c2w, options.fovy_deg, options.size, options.size)
    images = render_mesh(mesh, *camera, options.supersample, options.shading, *(light or usual_light(rng)))
    return images, torch.linalg.inv(c2w)[:, :3].float().numpy(), angles.astype(np.float32)
