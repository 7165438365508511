"""The field as it forms, for whoever watches: a small picture every few seconds, each a little further around.

Training is not disturbed: modes and random states are put back, so a watched run ends in the weights of an unwatched.
"""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from threestudio import cameras
from threestudio.utils.atomic import atomic_path
from threestudio.utils.random_state import random_state, set_random_state

LIVE = "live.jpg"
SIDE = 160  # pixels
TURN_DEG = 20.0  # from one picture to the next
QUALITY = 88  # of JPEG
LIGHT = {"shading": "diffuse", "ambient_ratio": 1.0}


class LivePicture(pl.Callback):
    """Of systems that render fields and data that have a turntable; nothing of others."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.path, self.seconds = folder / LIVE, seconds
        self.last, self.count = float("-inf"), 0

    @rank_zero_only
    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        turntable = getattr(trainer.datamodule, "turntable", None)
        if turntable is None or not hasattr(module, "renderer") or time.monotonic() - self.last < self.seconds:
            return
        picture = rendered(module, turntable, TURN_DEG * self.count)
        with atomic_path(self.path) as partial:
            Image.fromarray(picture).save(partial, quality=QUALITY)
        self.count += 1
        self.last = time.monotonic()  # after it: a slow machine is not kept busy with pictures


@torch.no_grad()
def rendered(system: Any, turntable: Any, azimuth_deg: float) -> UInt8[ndarray, "h w 3"]:
    modes, drawn = [(part, part.training) for part in system.modules()], random_state()
    system.eval()
    try:
        out = system.renderer(**view(turntable, azimuth_deg, system.device), bg_color=None, output_normal=False)
    finally:
        for part, mode in modes:
            part.training = mode
        set_random_state(drawn)
    return (out["comp_rgb"][0].float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def view(turntable: Any, azimuth_deg: float, device: torch.device) -> dict[str, Any]:
    angles = (turntable.eval_elevation_deg, azimuth_deg, turntable.eval_camera_distance, turntable.eval_fovy_deg)
    elevation, azimuth, distance, fovy = (torch.tensor([float(angle)]) for angle in angles)
    c2w = cameras.orbit(elevation, azimuth, distance).to(device)
    rays_o, rays_d = cameras.rays(c2w, fovy.to(device), SIDE, SIDE)
    place = {"light_positions": c2w[:, :3, 3], "camera_positions": c2w[:, :3, 3], "c2w": c2w}
    return {"rays_o": rays_o, "rays_d": rays_d, "height": SIDE, "width": SIDE} | place | LIGHT
