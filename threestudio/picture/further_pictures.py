"""Further pictures of the object, from cameras that the user knows: its back, its sides.

    pictures: {back.png: {azimuth: 180, elevation: 0}}     degrees; azimuth as the source's, elevation from the horizon
    pictures: views/cameras.json                           a list as novel views are saved with, see `LIST`

A file lies where it says, or beside the source; those of a list lie beside the list. Each picture is prepared as the
source is. Where that centres it, the object becomes as tall as in the source, for cameras at about one height; else its
larger side is `object_ratio` of the square's, as the source's is. All have the source's distance and field of view.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from threestudio.errors import UserError
from threestudio.picture.picture import Picture, prepare_picture
from threestudio.utils.atomic import atomic_path
from threestudio.utils.config import config_to_primitive
from threestudio.utils.files import regular_file
from threestudio.views import Cameras

SAME_HEIGHT_DEG = 20.0  # elevations as near as this show the object equally tall
LARGEST_RATIO = 0.95  # of the square that the object's larger side takes
LIST_FILE = "cameras.json"
LARGEST_LIST = 1 << 20  # bytes of a cameras.json
LIST = '{"views": [{"file": .., "azimuth_deg": .., "elevation_deg": ..}]}'


def further_pictures(cfg: Any, source: Picture, camera: Cameras) -> list[tuple[Picture, Cameras]]:
    """Of the config of a data module, prepared, each with its camera."""
    found = []
    for file, azimuth_deg, elevation_deg in named_pictures(cfg.pictures, source.path.parent):
        picture = prepare_picture(file, cfg.object_ratio, cfg.background_removal, cfg.recenter)
        same_height = abs(elevation_deg - float(camera.elevation_deg)) <= SAME_HEIGHT_DEG
        if cfg.recenter and same_height:
            height, width = box_of(picture)
            ratio = min(box_of(source)[0] * max(height, width) / height, LARGEST_RATIO)
            picture = prepare_picture(file, ratio, cfg.background_removal)
        found.append((picture, camera_beside(camera, azimuth_deg, elevation_deg)))
    return found


def camera_beside(camera: Cameras, azimuth_deg: float, elevation_deg: float) -> Cameras:
    """With the source's distance and field of view."""
    elevation, azimuth = torch.tensor([[elevation_deg], [azimuth_deg]], dtype=torch.float64)
    return Cameras(elevation, azimuth, camera.distance, camera.fovy_deg)


def save_further(folder: Path, further: list[tuple[Picture, Cameras]]) -> None:
    """The prepared pictures with a list that `read_further` takes; nothing where there are none."""
    named = []
    for count, (picture, camera) in enumerate(further):
        picture.save(folder / f"{count:03d}.png")
        named.append((f"{count:03d}.png", float(camera.azimuth_deg), float(camera.elevation_deg)))
    if named:
        write_list(folder, named)


def write_list(folder: Path, named: Sequence[tuple[str, float, float]]) -> None:
    """File in the folder, azimuth and elevation in degrees of each, as `named_pictures` reads them."""
    views = [{"file": file, "azimuth_deg": azimuth, "elevation_deg": elevation} for file, azimuth, elevation in named]
    with atomic_path(folder / LIST_FILE) as partial:
        partial.write_text(json.dumps({"views": views}, indent=1) + "\n", encoding="utf-8")


def read_further(folder: Path, camera: Cameras) -> list[tuple[Path, Cameras]] | None:
    """Files and cameras of what was saved there; None where nothing was."""
    if not (folder / LIST_FILE).is_file():
        return None
    named = named_pictures(str(folder / LIST_FILE), folder)
    return [(file, camera_beside(camera, *angles)) for file, *angles in named]


def box_of(picture: Picture) -> tuple[float, float]:
    """Height and width of the object's box, as shares of the square's side."""
    opaque = picture.rgba[..., 3] > 0.5
    rows, columns = (np.flatnonzero(opaque.any(axis=axis)) for axis in (1, 0))
    return (rows[-1] + 1 - rows[0]) / len(opaque), (columns[-1] + 1 - columns[0]) / len(opaque)


def named_pictures(given: Any, beside: Path) -> list[tuple[Path, float, float]]:
    """File, azimuth and elevation in degrees of each; raises UserError for what is no such list."""
    given = config_to_primitive(given)
    if isinstance(given, str):
        place = _found(given, beside)
        return [(_regular(place.parent / file), *_angles(file, angles)) for file, angles in _read_list(place)]
    if isinstance(given, Mapping):
        return [(_found(str(file), beside), *_angles(file, angles)) for file, angles in given.items()]
    raise UserError(f"data.pictures: {given!r:.60}; expected {{file: {{azimuth: .., elevation: ..}}}} or a JSON file")


def _found(file: str, beside: Path) -> Path:
    return _regular(Path(file) if Path(file).exists() else beside / file)


def _regular(place: Path) -> Path:
    return regular_file(place, "not found; data.pictures names it")


def _read_list(place: Path) -> list[tuple[str, Any]]:
    """The views of a cameras.json."""
    if place.stat().st_size > LARGEST_LIST:
        raise UserError(f"{place}: {place.stat().st_size / 1e6:.0f} MB; expected {LIST}")
    try:
        views = json.loads(place.read_text(encoding="utf-8"))["views"]
        return [
            (str(view["file"]), {"azimuth": view["azimuth_deg"], "elevation": view["elevation_deg"]}) for view in views
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{place}: expected {LIST}") from None


def _angles(file: object, angles: Any) -> tuple[float, float]:
    key = f"data.pictures.{file}"
    if not isinstance(angles, Mapping) or not set(angles) <= {"azimuth", "elevation"} or "azimuth" not in angles:
        raise UserError(f"{key}: {angles!r:.60}; expected {{azimuth: .., elevation: ..}} in degrees")
    azimuth, elevation = angles["azimuth"], angles.get("elevation", 0.0)
    if not all(
        isinstance(angle, (int, float)) and abs(angle) <= most for angle, most in ((azimuth, 720), (elevation, 90))
    ):
        raise UserError(f"{key}: azimuth {azimuth}, elevation {elevation}; expected within 720 and 90 degrees")
    return float(azimuth), float(elevation)
