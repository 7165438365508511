"""The picture as every part of the project sees it: an object cut out, centred in a transparent square.

The larger side of the object's box becomes `object_ratio` of the square's side; nothing is stretched. All resampling is
done on colours multiplied by alpha, so that hidden colours never show, and the outline's colours, which carry the old
background, are replaced by those of the object next to it. Values are in [0, 1]; RGBA is straight (not premultiplied).
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

import threestudio
from threestudio.errors import UserError
from threestudio.picture.cut_out import cut_out
from threestudio.picture.read_picture import read_picture
from threestudio.picture.shadows import drop_shadow
from threestudio.picture.transparency import is_cut_out
from threestudio.utils.atomic import atomic_path
from threestudio.utils.files import regular_file

LARGEST_SIDE = 1024
SMALLEST_OBJECT = 16  # pixels, on its longer side
SPECK_SHARE = 0.01  # of the largest part's area; smaller parts are dirt
OPAQUE = 0.95
INVISIBLE = 16  # alpha of what shows nothing, of 255


@dataclass(frozen=True)
class Window:
    """The square of the source picture that is shown, as shares of that picture's width and height."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Picture:
    path: Path
    rgba: Float[np.ndarray, "side side 4"]
    window: Window

    def at(self, height: int, width: int) -> Float[Tensor, "h w 4"]:
        """Straight RGBA; the square fills the height, and is cropped or padded to the width."""
        side = len(self.rgba)
        half = 0.5 * side * width / height
        box = (0.5 * side - half, 0.0, 0.5 * side + half, float(side))
        return torch.from_numpy(straight(resample(premultiplied(self.rgba), box, height, width)))

    def aligned(self, path: str | Path, height: int, width: int) -> Float[Tensor, "h w c"]:
        """Another picture of the same view (depth, normals), cut like this one."""
        place = regular_file(path, f"not found; it belongs to {self.path}")
        values = cv2.imread(str(place), cv2.IMREAD_UNCHANGED)
        if values is None:
            raise UserError(f"{path}: not a picture that can be read; save it as PNG")
        values = values.astype(np.float32) / np.iinfo(values.dtype.name).max
        values = values[..., None] if values.ndim == 2 else values[..., 2::-1]
        rows, columns = values.shape[:2]
        centre, half = 0.5 * (self.window.left + self.window.right), 0.5 * (self.window.right - self.window.left)
        half *= width / height
        box = ((centre - half) * columns, self.window.top * rows, (centre + half) * columns, self.window.bottom * rows)
        return torch.from_numpy(resample(values, box, height, width).clip(0, 1))

    def save(self, path: str | Path) -> None:
        """RGBA PNG."""
        with atomic_path(path) as partial:
            Image.fromarray((self.rgba * 255).round().astype(np.uint8)).save(partial)


def prepare_picture(
    path: str | Path, object_ratio: float = 0.75, background_removal: str = "grabcut", recenter: bool = True
) -> Picture:
    """Without `recenter` the picture is only padded to a square."""
    if not 0.1 <= object_ratio <= 1.0:
        raise UserError(f"data.object_ratio: {object_ratio} is not within 0.1 and 1")
    rgba = read_picture(path)
    refuse_tiny(path, "the picture", *rgba.shape[:2])
    if is_cut_out(rgba[..., 3]) or rgba[..., 3].max() < INVISIBLE:
        rgba = without_drop_shadow(path, rgba)
    else:
        rgba = cut_out(path, opaque_colours(path, rgba), background_removal)
    rgba = without_specks(path, rgba)
    box = object_window(path, rgba[..., 3] > 127, object_ratio) if recenter else square_around(*rgba.shape[:2])
    left, top, right, bottom = box
    side = int(np.clip(round(right - left), 1, LARGEST_SIDE))
    prepared = straight(resample(premultiplied(rgba), box, side, side))
    height, width = rgba.shape[:2]
    hard_mask = not ((rgba[..., 3] > 12) & (rgba[..., 3] < 243)).any()
    return Picture(
        path=Path(path),
        rgba=decontaminated(prepared, hard_mask),
        window=Window(left / width, top / height, right / width, bottom / height),
    )


def opaque_colours(path: str | Path, rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Of a picture whose alpha cuts nothing out: clear corners take the colour of the border next to them."""
    alpha = rgba[..., 3]
    if alpha.min() < 254:
        share = (alpha > alpha.max() // 2).mean()
        threestudio.warn(f"{path}: {share:.0%} of it are equally opaque, which is no cut-out; it is taken as opaque")
    clear = (alpha < alpha.max() // 2).astype(np.uint8)
    colours = np.ascontiguousarray(rgba[..., :3])
    if not clear.any():
        return colours
    return cv2.inpaint(colours, cv2.dilate(clear, np.ones((3, 3), np.uint8)), 3, cv2.INPAINT_TELEA)


def without_drop_shadow(path: str | Path, rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 4"]:
    shadow = drop_shadow(rgba.astype(np.float32) / 255)
    if not shadow.any():
        return rgba
    threestudio.warn(f"{path}: has a translucent black shadow, which was cleared; look at the result")
    return np.where(shadow[..., None], np.uint8(0), rgba)


def refuse_tiny(path: str | Path, what: str, height: int, width: int) -> None:
    if max(height, width) < SMALLEST_OBJECT:
        need = f"at least {SMALLEST_OBJECT} are needed on the longer side"
        raise UserError(f"{path}: {what} is {width} x {height} pixels; {need}")


def without_specks(path: str | Path, rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 4"]:
    """Opaque parts that are tiny beside the largest one are cleared, with the soft pixels around them."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats((rgba[..., 3] > 127).astype(np.uint8), connectivity=8)
    if count == 1:
        most = rgba[..., 3].max()
        seen = "fully transparent" if most < INVISIBLE else f"the most opaque pixel has alpha {most / 255:.2f}"
        raise UserError(f"{path}: {seen}; no pixel has alpha above 0.5")
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = areas >= SPECK_SHARE * areas[1:].max()
    kept[0] = True
    if kept.all():
        return rgba
    object_nearby = cv2.dilate((kept[parts] & (parts > 0)).astype(np.uint8), np.ones((5, 5), np.uint8))
    speck_nearby = cv2.dilate((~kept[parts]).astype(np.uint8), np.ones((5, 5), np.uint8))
    cleared = rgba.copy()
    cleared[(speck_nearby > 0) & (object_nearby == 0) | ~kept[parts]] = 0
    return cleared


def object_window(
    path: str | Path, opaque: Bool[np.ndarray, "h w"], object_ratio: float
) -> tuple[float, float, float, float]:
    """left, top, right, bottom in pixels; it may reach outside the picture."""
    columns, rows = np.flatnonzero(opaque.any(axis=0)), np.flatnonzero(opaque.any(axis=1))
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    refuse_tiny(path, "the object", int(bottom - top), int(right - left))
    if left == 0 or top == 0 or right == opaque.shape[1] or bottom == opaque.shape[0]:
        threestudio.debug(f"{path}: the object touches the picture's edge; it may be cut off there")
    half = 0.5 * max(right - left, bottom - top) / object_ratio
    x, y = 0.5 * (left + right), 0.5 * (top + bottom)
    return x - half, y - half, x + half, y + half


def square_around(height: int, width: int) -> tuple[float, float, float, float]:
    half = 0.5 * max(height, width)
    return 0.5 * width - half, 0.5 * height - half, 0.5 * width + half, 0.5 * height + half


def premultiplied(rgba: np.ndarray) -> Float[np.ndarray, "h w 4"]:
    values = rgba.astype(np.float32) / (255 if rgba.dtype == np.uint8 else 1)
    values[..., :3] *= values[..., 3:]
    return values


def straight(values: Float[np.ndarray, "h w 4"]) -> Float[np.ndarray, "h w 4"]:
    """White where nothing is left to divide by: the background that Zero-1-to-3 knows."""
    alpha = values[..., 3:]
    colours = np.where(alpha > 1 / 255, values[..., :3] / np.maximum(alpha, 1e-6), 1.0)
    return np.concatenate([colours, alpha], axis=-1).clip(0, 1).astype(np.float32)


def resample(
    values: Float[np.ndarray, "h w c"], box: tuple[float, float, float, float], height: int, width: int
) -> Float[np.ndarray, "new_h new_w c"]:
    """Antialiased cubic (it may overshoot), from a box in fractions of pixels; outside the picture all is 0."""
    rows, columns = values.shape[:2]
    before_x, before_y = max(0, int(np.ceil(-box[0]))), max(0, int(np.ceil(-box[1])))
    after_x, after_y = max(0, int(np.ceil(box[2] - columns))), max(0, int(np.ceil(box[3] - rows)))
    moved = (box[0] + before_x, box[1] + before_y, box[2] + before_x, box[3] + before_y)
    channels = []
    for channel in np.moveaxis(values, -1, 0):
        padded = Image.fromarray(np.pad(channel, ((before_y, after_y), (before_x, after_x))))
        channels.append(np.asarray(padded.resize((width, height), Image.Resampling.BICUBIC, box=moved)))
    return np.stack(channels, axis=-1)


def decontaminated(rgba: Float[np.ndarray, "h w 4"], hard_mask: bool) -> Float[np.ndarray, "h w 4"]:
    """The softer a pixel, the more of its colour comes from the opaque object next to it, where there is any.

    A mask without soft pixels was drawn by hand or thresholded: its outermost pixels show background, so they count
    as soft too.
    """
    core: np.ndarray = (rgba[..., 3] > OPAQUE).astype(np.uint8)
    if hard_mask:
        rim = 2 * max(1, round(len(rgba) / 200)) + 1
        core = cv2.erode(core, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim)))
    reach = max(2, round(len(rgba) / 128))
    size = (4 * reach + 1, 4 * reach + 1)
    weight = cv2.GaussianBlur(core.astype(np.float32), size, 0)[..., None]
    nearby = cv2.GaussianBlur(rgba[..., :3] * core[..., None], size, 0) / np.maximum(weight, 1e-6)
    own = np.where(core[..., None] > 0, 1.0, rgba[..., 3:] * (0.5 if hard_mask else 1.0))
    colours = np.where(weight > 1e-3, own * rgba[..., :3] + (1 - own) * nearby, rgba[..., :3])
    visible = rgba[..., 3:] > 1 / 255
    return np.concatenate([np.where(visible, colours, 1.0), rgba[..., 3:]], axis=-1).clip(0, 1).astype(np.float32)
