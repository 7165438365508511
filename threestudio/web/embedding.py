"""Pictures, videos and meshes as text for pages, small enough that many of them stay light.

A mesh is packed for viewer.js, which has the other half of this file: all numbers are whole (positions and texture
coordinates in 1/65535 of their range, normals in 1/127), each column is stored as differences from one value to the
next, zigzag-coded, the low bytes of all values first, then the next bytes, and everything is deflated.
"""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from PIL import Image

VIEWER = Path(__file__).parent / "viewer.js"
PICTURE_SIDE, TEXTURE_SIDE = 320, 1024  # pixels, at most
PICTURE_QUALITY, TEXTURE_QUALITY = 85, 80  # of WebP
STEPS = 65535


def picture_uri(path: Path, side: int = PICTURE_SIDE) -> str:
    """Transparency is kept."""
    with Image.open(path) as image:
        picture = image.convert("RGBA" if image.has_transparency_data else "RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return "data:image/webp;base64," + base64.b64encode(webp(picture, PICTURE_QUALITY)).decode()


def file_text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def mesh_text(mesh: trimesh.Trimesh) -> str:
    """JSON; `mesh` is in world axes."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    uv, texture = uv_and_texture(mesh)
    columns = [
        *(packed(column, 2) for column in whole(mesh.vertices, low, high).T),
        *(packed(column, 1) for column in np.rint(127 * mesh.vertex_normals).astype(np.int64).T),
        *(packed(column, 2) for column in whole(uv, np.zeros(2), np.ones(2)).T),
        packed(mesh.faces.reshape(-1).astype(np.int64), 3),
    ]
    parts = {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "low": low.tolist(),
        "high": high.tolist(),
        "packed": base64.b64encode(zlib.compress(b"".join(columns), 9)).decode(),
        "texture": None if texture is None else base64.b64encode(webp(texture, TEXTURE_QUALITY)).decode(),
    }
    return json.dumps(parts, separators=(",", ":"))


def uv_and_texture(mesh: trimesh.Trimesh) -> tuple[Float[ndarray, "vertex 2"], Image.Image | None]:
    """Coordinates from the picture's upper left corner; without a texture they are zero."""
    material = getattr(mesh.visual, "material", None)
    texture = getattr(material, "baseColorTexture", None)
    uv = getattr(mesh.visual, "uv", None)
    if texture is None or uv is None:
        return np.zeros((len(mesh.vertices), 2)), None
    texture = texture.convert("RGB")
    texture.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.LANCZOS)
    return np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1), texture


def whole(
    values: Float[ndarray, "row column"], low: Float[ndarray, "column"], high: Float[ndarray, "column"]
) -> Int[ndarray, "row column"]:
    share = (values - low) / np.maximum(high - low, 1e-12)
    return np.rint(np.clip(share, 0, 1) * STEPS).astype(np.int64)


def packed(values: Int[ndarray, "row"], width: int) -> bytes:
    """`width` bytes a value; differences beyond them wrap around, which adding them up undoes."""
    difference = np.diff(values, prepend=0)
    half = 1 << (8 * width - 1)
    wrapped = (difference + half) % (2 * half) - half
    zigzag = np.where(wrapped < 0, -2 * wrapped - 1, 2 * wrapped).astype("<u4")
    planes: UInt8[ndarray, "row 4"] = zigzag.view(np.uint8).reshape(-1, 4)
    return planes[:, :width].T.tobytes()


def webp(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=quality, method=5)
    return file.getvalue()
