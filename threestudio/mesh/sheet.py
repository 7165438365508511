"""What came out, on one picture: the source, the self-prompted views, and the final mesh, as read back from its GLB,
with its texture and as clay."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from threestudio import cameras
from threestudio.mesh.files import read_glb
from threestudio.mesh.renderer import render_mesh
from threestudio.utils.atomic import atomic_path

AZIMUTHS_DEG = tuple(float(azimuth) for azimuth in range(0, 360, 45))
COLUMNS = 4
CELL = 256  # pixels
CAPTION = 22
MARGIN = 12
INK, PAPER = (40, 40, 40), (255, 255, 255)


def save_contact_sheet(
    path: str | os.PathLike[str],
    glb_path: str | os.PathLike[str],
    source: np.ndarray | None = None,
    prompt_views: Sequence[tuple[str, np.ndarray]] = (),
    elevation_deg: float = 15.0,
    distance: float = 3.8,
    fovy_deg: float = 20.0,
) -> None:
    """Images are [h w 3] or [h w 4], bytes or floats in [0, 1]; `prompt_views` are pairs of a caption and an image."""
    given = [("source", source)] if source is not None else []
    rows = _in_rows([(caption, _on_paper(image)) for caption, image in [*given, *prompt_views]])
    for shading, name in (("albedo", "mesh"), ("clay", "clay")):
        elevations_deg = [elevation_deg] * len(AZIMUTHS_DEG)
        renderings = render_glb(glb_path, elevations_deg, AZIMUTHS_DEG, distance, fovy_deg, CELL, shading)
        captions = [f"{name}, azimuth {azimuth:.0f}" for azimuth in AZIMUTHS_DEG]
        rows += _in_rows([(caption, _on_paper(image)) for caption, image in zip(captions, renderings, strict=True)])
    with atomic_path(path) as partial:
        _sheet(rows).save(partial)


def render_glb(
    path: str | os.PathLike[str],
    elevation_deg: Sequence[float],
    azimuth_deg: Sequence[float],
    distance: float,
    fovy_deg: float,
    size: int,
    shading: str = "albedo",
) -> UInt8[np.ndarray, "view h w 4"]:
    """The mesh of a GLB file from cameras that look at the origin, straight alpha; `shading` is `render_mesh`'s."""
    c2w = cameras.orbit(
        torch.tensor(elevation_deg, dtype=torch.float64),
        torch.tensor(azimuth_deg, dtype=torch.float64),
        torch.full((len(azimuth_deg),), distance, dtype=torch.float64),
    )
    return render_mesh(read_glb(path), c2w, fovy_deg, size, size, shading=shading)


def _in_rows(cells: list[Any]) -> list[list[Any]]:
    return [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]


def _on_paper(image: np.ndarray) -> Image.Image:
    """White behind what is transparent; fitted into a cell without stretching."""
    if image.dtype != np.uint8:
        image = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    picture = Image.fromarray(image).convert("RGBA")
    picture = picture.resize(_fitted(picture.size), Image.Resampling.LANCZOS)
    cell = Image.new("RGBA", (CELL, CELL), (*PAPER, 255))
    cell.alpha_composite(picture, ((CELL - picture.width) // 2, (CELL - picture.height) // 2))
    return cell.convert("RGB")


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    scale = CELL / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _sheet(rows: list[list[tuple[str, Image.Image]]]) -> Image.Image:
    pitch_x, pitch_y = CELL + MARGIN, CELL + CAPTION + MARGIN
    sheet = Image.new("RGB", (MARGIN + COLUMNS * pitch_x, MARGIN + len(rows) * pitch_y), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, cells in enumerate(rows):
        for column, (caption, picture) in enumerate(cells):
            left, top = MARGIN + column * pitch_x, MARGIN + row * pitch_y
            draw.text((left + CELL // 2, top + CAPTION // 2), caption, fill=INK, font=font, anchor="mm")
            sheet.paste(picture, (left, top + CAPTION))
    return sheet
