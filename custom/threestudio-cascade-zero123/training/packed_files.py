"""The files of packed views (rendered_views.py), checked before anything is drawn from them.

`images.npy` uint8 [object view h w 4], `cameras.npy` float32 [object view 3 4] world-to-camera, and `meta.json`, which
says how they were rendered.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from ..common.errors import UserError, one_line
from ..common.files import read_json, regular_file

META = "meta.json"
REMEDY = "make it again with scripts/render_views.py --packed"
FARTHEST = 1e4  # world units of a camera; the renderings' are 1 to 4
ROTATION_TOLERANCE = 1e-2
CHECKED_AT_ONCE = 1 << 16  # cameras


def open_images(file: Path) -> UInt8[ndarray, "object view h w 4"]:
    images = _mapped(file)
    if images.dtype != np.uint8 or images.ndim != 5 or images.shape[-1] != 4 or 0 in images.shape:
        raise UserError(f"{file}: {_kind(images)}, expected uint8 [object view h w 4]; {REMEDY}")
    if images.shape[2] != images.shape[3] or images.shape[1] < 2:
        raise UserError(f"{file}: {_kind(images)}, expected squares, and two views an object or more; {REMEDY}")
    return images


def open_cameras(file: Path, objects_and_views: tuple[int, ...]) -> Float[ndarray, "object view 3 4"]:
    """All of them are looked at: one that is no camera would end a training days later, or worse, not end it."""
    cameras = _mapped(file)
    expected = (*objects_and_views, 3, 4)
    if cameras.dtype.kind != "f" or cameras.shape != expected:
        raise UserError(f"{file}: {_kind(cameras)}, expected floats {list(expected)}, as the images; {REMEDY}")
    flat = cameras.reshape(-1, 3, 4)
    for start in range(0, len(flat), CHECKED_AT_ONCE):
        wrong = ~are_cameras(np.asarray(flat[start : start + CHECKED_AT_ONCE], dtype=np.float64))
        if wrong.any():
            number, view = divmod(start + int(wrong.argmax()), expected[1])
            raise UserError(f"{file}: object {number}, view {view}: not a rotation and a finite, near place; {REMEDY}")
    return cameras


def are_cameras(world_to_camera: Float[ndarray, "camera 3 4"]) -> np.ndarray:
    """Written so that NaN fails it too."""
    rotation, translation = world_to_camera[..., :3], world_to_camera[..., 3]
    with np.errstate(all="ignore"):
        turned = np.abs(rotation @ rotation.swapaxes(-1, -2) - np.eye(3)).max(axis=(-1, -2)) < ROTATION_TOLERANCE
        return turned & (np.linalg.norm(translation, axis=-1) < FARTHEST)


def read_meta(folder: Path) -> dict[str, Any]:
    """What scripts/render_views.py has left of how it rendered; nothing where it left none."""
    file = folder / META
    if not file.exists():
        return {}
    meta = read_json(file)
    distance = meta.get("distance", (0.0, np.inf))
    numbers = [*(distance if isinstance(distance, (list, tuple)) else [distance]), meta.get("fovy_deg", 1.0)]
    if len(numbers) != 3 or not all(isinstance(number, (int, float)) for number in numbers):
        raise UserError(f"{file}: distance {distance} or fovy_deg are no numbers; {REMEDY}")
    return meta


def _mapped(file: Path) -> ndarray:
    regular_file(file, "missing; make it with scripts/render_views.py --packed")
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy's, of many kinds: truncated, empty, pickled, another format
        raise UserError(f"{file}: damaged, or no array of numbers ({one_line(error)}); {REMEDY}") from error


def _kind(array: ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
