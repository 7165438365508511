"""The source picture on its way through a run: to the guidance, the saved files, the exporter and the overview."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import threestudio
from threestudio import cameras
from threestudio.models.contact_sheet import save_contact_sheet
from threestudio.models.image_projection import ReferenceView

INPUT, PROMPT_VIEWS, OVERVIEW = "input.png", "prompt-views", "contact-sheet.png"


def hand_picture_over(guidance: Any, datamodule: Any, save_dir: str) -> None:
    """The guidance sees what the losses see, and the user is shown it; other guidances read the file themselves."""
    if not hasattr(guidance, "set_source"):
        return
    guidance.set_source(torch.from_numpy(datamodule.picture.rgba))
    datamodule.save_input(save_dir, guidance.source.shape[-1])
    guidance.prompts.save(Path(save_dir) / PROMPT_VIEWS)


def source_of_run(save_dir: str, datamodule: Any) -> ReferenceView:
    """The picture that the run was made from, and its camera; an export may be given another config, or none."""
    saved, cfg = Path(save_dir) / INPUT, datamodule.cfg
    if saved.is_file():
        with Image.open(saved) as image:
            rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
    else:
        rgba = datamodule.picture.rgba
    c2w = cameras.orbit(
        torch.tensor([cfg.default_elevation_deg], dtype=torch.float64),
        torch.tensor([cfg.default_azimuth_deg], dtype=torch.float64),
        torch.tensor([cfg.default_camera_distance], dtype=torch.float64),
    )
    return ReferenceView(rgba, c2w[0].numpy(), float(cfg.default_fovy_deg))


def save_overview(save_dir: str, step: int, source: ReferenceView, cfg: Any) -> None:
    """The contact sheet, beside the export; nothing where no GLB was exported."""
    folder = Path(save_dir) / f"it{step}-export"
    meshes = sorted(folder.glob("*.glb"))
    if not meshes:
        return
    prompts = []
    for path in sorted((Path(save_dir) / PROMPT_VIEWS).glob("*.png")):
        with Image.open(path) as image:
            prompts.append((path.stem.split("_", 1)[-1].replace("_", " "), np.asarray(image.convert("RGB"))))
    save_contact_sheet(
        folder / OVERVIEW,
        meshes[0],
        source.rgba,
        prompts,
        distance=float(cfg.default_camera_distance),
        fovy_deg=source.fovy_deg,
    )
    threestudio.info(f"Everything at a glance: {folder / OVERVIEW}")
