"""The Zero-1-to-3 pose token: the camera of a target view relative to the view it is conditioned on.

Token (Liu et al. 2023; Eq. 14 of the Cascade-Zero123 paper): `[polar_t - polar_c, sin(az_t - az_c), cos(az_t - az_c),
r_t - r_c]`, angles in radians, polar = pi/2 - elevation, z up, azimuth = atan2(y, x). Poses compose by subtraction in
these spherical coordinates (Eq. 8). Stable-Zero123 was trained with another fourth number, `polar_c` itself, which
tells it how high the conditioning view is seen from. This module holds the only code that builds tokens.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..views import Cameras

POSE_TOKENS = ("zero123", "stable-zero123")


def pose_token(target: Cameras, condition: Cameras, kind: str = "zero123") -> Float[Tensor, "view 4"]:
    """The token that turns the view at `condition` into the view at `target`; either may hold a single view.

    `kind` is one of POSE_TOKENS, the one that the weights were trained with (`Settings.pose_token`).
    """
    d_elevation = torch.deg2rad(target.elevation_deg - condition.elevation_deg)
    d_azimuth = torch.deg2rad(target.azimuth_deg - condition.azimuth_deg)
    if kind == "stable-zero123":
        fourth = math.pi / 2 - torch.deg2rad(condition.elevation_deg)
    else:
        fourth = target.distance - condition.distance
    return torch.stack([-d_elevation, d_azimuth.sin(), d_azimuth.cos(), fourth.expand_as(d_azimuth)], dim=-1)


def pose_from_world_to_camera(world_to_camera: Float[Tensor, "view 3 4"]) -> Cameras:
    """Cameras given as in Zero-1-to-3's renderings: position = -R^T t, roll and aim not read."""
    rotation, translation = world_to_camera[:, :, :3], world_to_camera[:, :, 3:]
    x, y, z = (-rotation.transpose(1, 2) @ translation).squeeze(-1).unbind(-1)
    return Cameras(
        torch.rad2deg(torch.atan2(z, torch.hypot(x, y))), torch.rad2deg(torch.atan2(y, x)), (x**2 + y**2 + z**2).sqrt()
    )
