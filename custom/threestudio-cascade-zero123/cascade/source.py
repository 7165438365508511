"""The source picture as the models see it: square, the object as large as in training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..common.errors import UserError
from ..common.files import regular_file
from ..views import Cameras, Views
from ..zero123.model import Zero123
from ..zero123.white import as_seen

# Each with its azimuth and its elevation in degrees.
FurtherPictures = Sequence[tuple[Float[Tensor, "height width 4"], float, float]]
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # plain pixels; others start interpreters


def read_rgba(path: str | Path) -> Float[Tensor, "h w 4"]:
    """Straight alpha, all in [0, 1]; a picture without alpha comes out opaque."""
    regular_file(path, "no such picture")
    try:
        with Image.open(path, formats=FORMATS) as image:
            rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
    except Exception as error:  # whatever a decoder stumbles over, a picture too large included
        raise UserError(f"{path}: not a readable picture ({error})") from error
    return torch.from_numpy(rgba)


def object_ratio(rgba: Float[Tensor, "h w 4"]) -> float:
    """Larger side of the object's box (alpha above 0.5) over the larger side of the picture."""
    top, bottom, left, right = _box(rgba)
    return max(bottom - top, right - left) / max(rgba.shape[:2])


def centred(rgba: Float[Tensor, "h w 4"], ratio: float) -> Float[Tensor, "side side 4"]:
    """The object's box in the middle of a transparent square, its larger side `ratio` of the square's."""
    top, bottom, left, right = _box(rgba)
    height, width = bottom - top, right - left
    side = max(round(max(height, width) / ratio), height, width)
    square = rgba.new_zeros(side, side, 4)
    y, x = (side - height) // 2, (side - width) // 2
    square[y : y + height, x : x + width] = rgba[top:bottom, left:right]
    return square


def given_views(model: Zero123, rgba: Float[Tensor, "h w 4"], camera: Cameras, further: FurtherPictures = ()) -> Views:
    """[view]: the source, whose camera [1] is given, then the further pictures, all from its distance."""
    views = [view_for(model, rgba, camera)]
    for picture, azimuth_deg, elevation_deg in further:
        at = Cameras.one(elevation_deg, azimuth_deg, float(camera.distance[0]), camera.distance.device)
        views.append(view_for(model, picture, at))
    return Views.join(views)


def view_for(model: Zero123, rgba: Float[Tensor, "h w 4"], camera: Cameras) -> Views:
    """A prepared picture and its camera [1], on the camera's device, as the model sees it."""
    picture = rgba.float().to(camera.distance.device)
    return Views(as_model_sees(picture, model.settings.image_size, model.channels), camera)


def as_model_sees(
    rgba: Float[Tensor, "h w 4"], size: int, channels: int
) -> Float[Tensor, "1 {channels} {size} {size}"]:
    """Resized with anti-aliasing, for a model of so many channels (zero123/white.py); in [0, 1]."""
    picture = as_seen(rgba.permute(2, 0, 1)[None], channels)
    return F.interpolate(picture, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


def _box(rgba: Float[Tensor, "h w 4"]) -> tuple[int, int, int, int]:
    opaque = rgba[..., 3] > 0.5
    if not opaque.any():
        raise UserError("the source picture is fully transparent; no pixel has alpha above 0.5")
    rows, columns = opaque.any(1).nonzero().flatten(), opaque.any(0).nonzero().flatten()
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
