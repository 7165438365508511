"""Tensors as 8-bit pictures, and pictures side by side. Ranges are given by `data_range`; [0, 1] unless said."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from threestudio.errors import UserError

ColorPicture = UInt8[np.ndarray, "h w 3"]


def rgb_picture(img: Any, data_format: str = "HWC", data_range: Sequence[float] = (0, 1)) -> ColorPicture:
    """Channels beyond the third become further pictures to the right, as in a stack of feature maps."""
    array = _as_array(img)
    if data_format == "CHW":
        array = array.transpose(1, 2, 0)
    if array.dtype != np.uint8:
        array = _to_uint8(array, *data_range)
    missing = -array.shape[-1] % 3
    array = np.pad(array, ((0, 0), (0, 0), (0, missing)))
    return np.concatenate(np.split(array, array.shape[-1] // 3, axis=-1), axis=1)


def grayscale_picture(img: Any, data_range: Sequence[float] | None = None, cmap: str | None = "jet") -> ColorPicture:
    """[h w] or [h w 1]; without a range, from the smallest to the largest value. `cmap` is "jet", "magma" or None."""
    array = np.nan_to_num(_as_array(img).astype(np.float32))
    array = array[..., 0] if array.ndim == 3 else array
    low, high = data_range if data_range is not None else (float(array.min()), float(array.max()))
    gray = _to_uint8(array, low, max(high, low + 1e-8))
    if cmap is None:
        return np.repeat(gray[..., None], 3, axis=-1)
    maps = {"jet": cv2.COLORMAP_JET, "magma": cv2.COLORMAP_MAGMA}
    if cmap not in maps:
        raise UserError(f'unknown colour map "{cmap}"; known are {", ".join(maps)}')
    return np.ascontiguousarray(cv2.applyColorMap(gray, maps[cmap])[..., ::-1])


MAKERS: dict[str, Any] = {"rgb": rgb_picture, "grayscale": grayscale_picture}


def image_grid(imgs: Sequence[Any], align: Any = "max") -> ColorPicture:
    """`{"type": "rgb" | "grayscale", "img": tensor, "kwargs": {...}}` side by side; a list of lists makes rows.

    Pictures of other sizes are scaled to the largest ("max"), the smallest ("min"), a side length or (h, w).
    """
    if isinstance(imgs[0], (list, tuple)):
        rows = [image_grid(row, align) for row in imgs]
        width = max(row.shape[1] for row in rows)
        padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
        return np.concatenate(padded, axis=0)
    pictures = [MAKERS[part["type"]](part["img"], **part.get("kwargs", {})) for part in imgs]
    height, width = _common_size([picture.shape[:2] for picture in pictures], align)
    return np.concatenate([_scaled(picture, height, width) for picture in pictures], axis=1)


def _common_size(sizes: Sequence[tuple[int, int]], align: Any) -> tuple[int, int]:
    if align in ("max", "min"):
        choose = max if align == "max" else min
        return choose(h for h, _ in sizes), choose(w for _, w in sizes)
    return (align, align) if isinstance(align, int) else tuple(align)


def _scaled(picture: ColorPicture, height: int, width: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def _to_uint8(array: np.ndarray, low: float, high: float) -> np.ndarray:
    share = (array.astype(np.float32).clip(low, high) - low) / (high - low)
    return np.rint(share * 255.0).astype(np.uint8)


def _as_array(img: Any) -> np.ndarray:
    return img.detach().cpu().numpy() if hasattr(img, "detach") else np.asarray(img)
