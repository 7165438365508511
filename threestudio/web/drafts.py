"""A picture on its way to becoming a job: cut out, its mask turned around or redrawn, seen as the model will see it.

outputs/drafts/<draft>/  picture.*   as it was dropped
                         draft.png   its colours, all of them, and the mask as it stands, in a square
"""

import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from threestudio.errors import UserError
from threestudio.look import Look, look_at, messages
from threestudio.picture.cut_out import METHODS
from threestudio.picture.picture import prepare_picture
from threestudio.picture.read_picture import read_picture
from threestudio.picture.u2netp import is_there
from threestudio.utils.atomic import atomic_path
from threestudio.web.limits import plain_name, refuse_large, suffix_of

FOLDER, DRAFT = "drafts", "draft.png"
SIDE = 1024  # pixels, at most
SECONDS_KEPT = 24 * 3600
OPAQUE = 127


@dataclass(frozen=True)
class Draft:
    """`refusal` is why no mask was found, and the picture is to be masked by hand."""

    place: Path
    name: str
    notes: list[str] = field(default_factory=list)
    refusal: str = ""

    @property
    def file(self) -> Path:
        return self.place / DRAFT


def new_draft(outputs: Path, dropped: Path, name: str, data: Mapping[str, Any]) -> Draft:
    """UserError where it is no picture at all; one that only cannot be cut out says so in `refusal`."""
    folder = outputs / FOLDER
    clear_old(folder)
    name = plain_name(name)
    place = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
    place.mkdir(parents=True)
    original = place / f"picture{suffix_of(name)}"
    shutil.copyfile(dropped, original)
    try:
        refuse_large(original)
        colours = squared(read_picture(original, SIDE)[..., :3])
        alpha, notes, refusal = masked(original, len(colours), data)
    except UserError as error:
        shutil.rmtree(place)
        raise UserError(str(error).replace(str(original), name)) from None
    draft = Draft(place, name, notes, refusal.replace(str(original), name))
    save(draft, np.dstack([colours, alpha]))
    return draft


def masked(original: Path, side: int, data: Mapping[str, Any]) -> tuple[UInt8[np.ndarray, "s s"], list[str], str]:
    """By the config's method, then by the network, where it is there."""
    method = data.get("background_removal", METHODS[0])
    for attempt in dict.fromkeys([method, *(["u2netp"] if is_there() else [])]):
        try:
            with messages() as said:
                found = prepare_picture(original, 0.75, attempt, recenter=False)
            alpha = cv2.resize(found.rgba[..., 3], (side, side), interpolation=cv2.INTER_AREA)
            return (alpha * 255).round().astype(np.uint8), [one.removeprefix(f"{original}: ") for one in said], ""
        except UserError as error:
            refusal = str(error)
    return np.zeros((side, side), np.uint8), [], refusal


def squared(rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "s s 3"]:
    """Padded with its own border, so that a mask that is turned around meets colours."""
    height, width = rgb.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    side = max(small.shape[:2])
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    below, right = side - small.shape[0] - top, side - small.shape[1] - left
    return cv2.copyMakeBorder(small, top, below, left, right, cv2.BORDER_REPLICATE)


def inverted(draft: Draft) -> Draft:
    """What was background is the object."""
    rgba = pixels(draft)
    rgba[..., 3] = 255 - rgba[..., 3]
    save(draft, rgba)
    return Draft(draft.place, draft.name, ["the mask was turned around by hand"])


def redrawn(draft: Draft, kept: Bool[np.ndarray, "h w"], removed: Bool[np.ndarray, "h w"]) -> Draft:
    """What was brushed over is the object, or is none."""
    rgba = pixels(draft)
    size = rgba.shape[1::-1]
    for strokes, alpha in ((kept, 255), (removed, 0)):
        there = cv2.resize(strokes.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        rgba[..., 3][there] = alpha
    save(draft, rgba)
    return Draft(draft.place, draft.name, ["the mask was redrawn by hand"])


def strokes(layers: Sequence[UInt8[np.ndarray, "h w 4"]], keep: tuple[int, int, int]) -> tuple[Any, Any]:
    """Where the editor's layers were painted in the colour that keeps, and where in another."""
    painted = np.zeros(layers[0].shape[:2], bool)
    kept = painted.copy()
    for layer in layers:
        there = layer[..., 3] > OPAQUE
        like = np.abs(layer[..., :3].astype(int) - np.array(keep)).sum(axis=-1) < 120
        painted, kept = painted | there, kept | (there & like)
    return kept, painted & ~kept


def look(draft: Draft, data: Mapping[str, Any]) -> Look:
    """As the run will see it."""
    try:
        found = look_at(draft.file, data)
    except UserError as error:
        raise UserError(str(error).replace(str(draft.file), draft.name)) from None
    return Look(found.picture, found.size, [*draft.notes, *found.notes], found.elevation)


def pixels(draft: Draft) -> UInt8[np.ndarray, "s s 4"]:
    with Image.open(draft.file) as image:
        return np.array(image.convert("RGBA"))


def save(draft: Draft, rgba: UInt8[np.ndarray, "s s 4"]) -> None:
    with atomic_path(draft.file) as partial:
        Image.fromarray(rgba).save(partial)


def clear_old(folder: Path) -> None:
    """Pictures that nobody made anything of."""
    for place in folder.glob("*/"):
        if time.time() - place.stat().st_mtime > SECONDS_KEPT:
            shutil.rmtree(place, ignore_errors=True)
