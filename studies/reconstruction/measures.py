"""What a finished run is worth, measured on its GLB, read back: the reference view, the novel views, the turntable.

PSNR, SSIM and the perceptual metric compare the mesh, seen from the picture's camera, with the picture as prepared
(save/input.png), both on white, at 224 px as Magic123 does. CLIP-score is the mean over the turntable's views, a full
circle from the picture's azimuth at TURNTABLE_ELEVATION_DEG, each against the picture.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import torch
import trimesh
from cascade_zero123.zero123.reuse import kept_model
from cascade_zero123.zero123.white import on_white
from jaxtyping import Float, UInt8
from numpy import ndarray
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from studies.metrics import (
    REFERENCE_SIZE,
    ClipScore,
    Lpips,
    StLpips,
    Unavailable,
    clip_score,
    perceptual,
    psnr,
    resized,
    score,
    ssim,
)
from studies.reconstruction.job import Job, Result
from threestudio import cameras
from threestudio.errors import UserError
from threestudio.mesh.files import read_glb
from threestudio.mesh.renderer import render_mesh
from threestudio.utils.atomic import atomic_path
from threestudio.utils.named_weights import named_weights

TURNTABLE, REFERENCE_VIEW = "save/turntable.mp4", "save/reference-view.png"
TURNTABLE_VIEWS, TURNTABLE_ELEVATION_DEG, TURNTABLE_SIZE, TURNTABLE_FPS = 60, 15.0, 256, 20
SUPERSAMPLE = 4  # of the reference view

Pictures = Float[Tensor, "view 3 h w"]


def measure(job: Job, result: Result) -> None:
    """Fills `result` in."""
    result.files = found_files(job.folder)
    mesh = read_glb(job.folder / result.files["glb"])
    result.faces, result.vertices = len(mesh.faces), len(mesh.vertices)
    config: Any = OmegaConf.load(job.folder / "configs" / "parsed.yaml")
    result.elevation_deg = float(config.data.default_elevation_deg)
    result.azimuth_deg = float(config.data.default_azimuth_deg)
    reference, turntable = reference_view(mesh, config.data), turntable_views(mesh, config.data)
    save_picture(job.folder / REFERENCE_VIEW, reference[0])
    save_video(job.folder / TURNTABLE, turntable)
    result.files |= {"turntable": TURNTABLE, "reference_view": REFERENCE_VIEW}

    truth, view = resized(source_picture(job.folder / result.files["source"])), as_pictures(reference)
    distance, clip = perceptual_metric(), clip_metric(job, config.system.guidance)
    result.scores = {
        "PSNR": score(psnr, view, truth),
        "SSIM": score(ssim, view, truth),
        distance.name: score(distance, view, truth),
        clip.name: score(clip, as_pictures(turntable), truth),
    }
    result.notes = [metric.note for metric in (distance, clip) if not isinstance(metric, Unavailable)]


def found_files(folder: Path) -> dict[str, Any]:
    """What the run saved, relative to its folder; of several exports the last one."""
    exports = sorted(folder.glob("save/it*-export/*.glb"), key=lambda path: path.stat().st_mtime)
    if not exports:
        raise UserError(f"{folder}: the run exported no GLB; set system.exporter.fmt to glb+obj")
    files: dict[str, Any] = {"glb": exports[-1], "source": folder / "save" / "input.png"}
    files["prompts"] = sorted((folder / "save" / "prompt-views").glob("*.png"))
    if exports[-1].with_suffix(".obj").is_file():
        files["obj"] = exports[-1].with_suffix(".obj")
    return {
        name: [str(path.relative_to(folder)) for path in found]
        if isinstance(found, list)
        else str(found.relative_to(folder))
        for name, found in files.items()
    }


def source_picture(path: Path) -> Pictures:
    with Image.open(path) as image:
        rgba = np.array(image.convert("RGBA"))
    return as_pictures(rgba[None])


def reference_view(mesh: trimesh.Trimesh, camera: Any) -> UInt8[ndarray, "1 h w 4"]:
    c2w = orbit(camera, [camera.default_elevation_deg], [camera.default_azimuth_deg])
    return render_mesh(mesh, c2w, camera.default_fovy_deg, REFERENCE_SIZE, REFERENCE_SIZE, supersample=SUPERSAMPLE)


def turntable_views(mesh: trimesh.Trimesh, camera: Any) -> UInt8[ndarray, "view h w 4"]:
    azimuths_deg = camera.default_azimuth_deg + np.arange(TURNTABLE_VIEWS) * 360.0 / TURNTABLE_VIEWS
    c2w = orbit(camera, [TURNTABLE_ELEVATION_DEG] * TURNTABLE_VIEWS, azimuths_deg.tolist())
    return render_mesh(mesh, c2w, camera.default_fovy_deg, TURNTABLE_SIZE, TURNTABLE_SIZE)


def orbit(camera: Any, elevations_deg: list[float], azimuths_deg: list[float]) -> Float[Tensor, "view 4 4"]:
    """Around the origin, at the distance from which the picture was taken."""
    elevation, azimuth = torch.tensor([elevations_deg, azimuths_deg], dtype=torch.float64)
    return cameras.orbit(elevation, azimuth, torch.full_like(azimuth, camera.default_camera_distance))


def as_pictures(rgba: UInt8[ndarray, "view h w 4"]) -> Pictures:
    """On white, in [0, 1]."""
    return on_white(torch.from_numpy(rgba).movedim(-1, 1).float() / 255)


def save_picture(path: Path, rgba: UInt8[ndarray, "h w 4"]) -> None:
    with atomic_path(path) as partial:
        Image.fromarray(rgba).save(partial)


def save_video(path: Path, views: UInt8[ndarray, "view h w 4"]) -> None:
    frames = (as_pictures(views).movedim(1, -1) * 255).round().to(torch.uint8).numpy()
    with atomic_path(path) as partial:
        imageio.mimsave(partial, list(frames), fps=TURNTABLE_FPS, macro_block_size=1)


@lru_cache(1)
def perceptual_metric() -> Lpips | StLpips | Unavailable:
    return perceptual()


@lru_cache(1)
def clip_of_folder(folder: str) -> ClipScore | Unavailable:
    return clip_score(folder=folder)


def clip_metric(job: Job, guidance: Any) -> ClipScore | Unavailable:
    """By the folder of CLIP that the user named, else by the encoder of the weights that made the mesh."""
    if job.clip is not None:
        return clip_of_folder(job.clip)
    *_, last = [None, *(part["weights"] for part in named_weights(guidance).values())]
    return clip_score(kept_model(str(last)))
