"""The source picture on its way through a run: to the guidance, the saved files, the exporter and the overview."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

import threestudio
from threestudio import cameras
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.sheet import save_contact_sheet
from threestudio.models.geometry.visual_hull import VisualHull
from threestudio.picture.further_pictures import read_further
from threestudio.utils.saving import SaverMixin

INPUT, FITTED, FURTHER = "input.png", "fitted.png", "further"
PROMPT_VIEWS, OVERVIEW = "prompt-views", "contact-sheet.png"


def hand_picture_over(guidance: Any, datamodule: Any, saver: SaverMixin) -> None:
    """The guidance gets the picture that the losses get; other guidances read the file themselves.

    Saved are the prepared picture, what the model sees of it (input_<size>.png), and the prompt views."""
    if not hasattr(guidance, "set_source"):
        return
    if getattr(guidance, "sees_opacity", False):
        datamodule.keep_white()
    guidance.set_source(torch.from_numpy(datamodule.fitted.rgba), datamodule.further_to_show())
    datamodule.save_input(saver.get_save_dir())
    saver.save_image(f"input_{guidance.source.shape[-1]}.png", guidance.source[0].permute(1, 2, 0))
    guidance.save_shown(Path(saver.get_save_dir()) / PROMPT_VIEWS)


def carve(hull: VisualHull, datamodule: Any) -> None:
    """The picture's silhouette, at the hull's own resolution."""
    mask = torch.from_numpy(datamodule.picture.rgba[..., 3] > 0.5)
    camera = datamodule.camera
    projection = cameras.projection(camera.fovy_deg.float(), 1.0, 0.1, 100.0)
    view = cameras.world_to_clip(camera.c2w.float(), projection)
    hull.carve(mask.to(hull.silhouette.device), view[0].to(hull.silhouette.device))


def source_of_run(save_dir: str, datamodule: Any) -> ReferenceView:
    """The picture that the run was made from, and its camera; an export may be given another config, or none.

    With the further pictures that the field was fitted to."""
    saved, camera = Path(save_dir), datamodule.camera
    if (saved / INPUT).is_file():
        rgba, fitted = _read(saved / INPUT), _read(saved / FITTED) if (saved / FITTED).is_file() else None
    else:
        rgba = datamodule.picture.rgba
        fitted = None if datamodule.fitted is datamodule.picture else datamodule.fitted.rgba
    further = further_of_run(saved / FURTHER, datamodule)
    return ReferenceView(rgba, camera.c2w[0].numpy(), float(camera.fovy_deg), fitted, further)


def further_of_run(saved: Path, datamodule: Any) -> list[ReferenceView]:
    """As the run saved them, or from where the config says that they lie."""
    if not datamodule.cfg.fit_pictures:
        return []
    kept = read_further(saved, datamodule.camera)
    if kept is not None:
        seen = [(_read(file), camera) for file, camera in kept]
    else:
        seen = [(picture.rgba, camera) for picture, camera in datamodule.further]
    return [ReferenceView(rgba, camera.c2w[0].numpy(), float(camera.fovy_deg)) for rgba, camera in seen]


def _read(file: Path) -> Float[np.ndarray, "h w 4"]:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGBA"), dtype=np.float32) / 255


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
