"""One view as it lies in files: `NNN.png`, RGBA with straight alpha, and `NNN.npy`, its 3x4 world-to-camera matrix.

This is the layout of Zero-1-to-3's Objaverse renderings; whether the files lie in folders or in tars is not known here.
"""

import io
import re
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from ..common.errors import one_line
from .packed_files import are_cameras

VIEW_FILE = re.compile(r"(\d{3})\.(png|npy)")


class BrokenView(Exception):
    """What is wrong, beginning with the name of the file in its object."""


@runtime_checkable
class ViewFiles(Protocol):
    """Where the objects' files lie; objects are numbered from 0."""

    place: str

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """The object's id."""

    def files(self, index: int) -> set[str]:
        """Which of `000.png`, `000.npy`, ... the object has."""

    def read(self, index: int, file: str) -> bytes:
        """A file's content; raises BrokenView where it cannot be read whole."""


def why_incomplete(files: set[str], view_count: int) -> str | None:
    """What is missing from an object's files, or too many; None where nothing is."""
    views = {file[:3] for file in files}
    if len(views) != view_count:
        return f"{len(views)} views; the others have {view_count}"
    wanted = [f"{view:03d}.{suffix}" for view in range(view_count) for suffix in ("png", "npy")]
    return next((f"no {file}" for file in wanted if file not in files), None)


def decode_rgba(file: str, content: bytes, side: int | None) -> UInt8[ndarray, "h w 4"]:
    """A square picture, resized to `side` pixels where that is given and it has others."""
    # A decoder of broken files raises whatever it stumbles over.
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()  # checksums, which decoding leaves alone; ends the use of `image`
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            transparent, rgba = image.has_transparency_data, np.asarray(image.convert("RGBA"))
    except Exception as error:
        raise BrokenView(f"{file}: {one_line(error)}") from error
    height, width = rgba.shape[:2]
    if not transparent:
        raise BrokenView(f"{file}: no alpha channel")
    if height != width:
        raise BrokenView(f"{file}: {width} x {height} pixels, not a square")
    return resized(rgba, side or width)


def resized(rgba: UInt8[ndarray, "h w 4"], side: int) -> UInt8[ndarray, "{side} {side} 4"]:
    """Bilinear, anti-aliased where it shrinks; premultiplied (by Pillow, for this mode), so that no colour bleeds."""
    if rgba.shape[:2] == (side, side):
        return rgba
    return np.asarray(Image.fromarray(rgba).resize((side, side), Image.Resampling.BILINEAR))


def decode_camera(file: str, content: bytes) -> Float[ndarray, "3 4"]:
    """World to camera: a rotation and a translation; a fourth row is dropped."""
    try:
        camera = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:
        raise BrokenView(f"{file}: {one_line(error)}") from error
    if not isinstance(camera, ndarray) or camera.shape not in ((3, 4), (4, 4)) or camera.dtype.kind != "f":
        raise BrokenView(f"{file}: not a 3 x 4 matrix of floats")
    camera = camera[:3].astype(np.float32)
    if not are_cameras(camera[None]).all():
        raise BrokenView(f"{file}: not a rotation and a finite translation")
    return camera
