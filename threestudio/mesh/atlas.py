"""Texture coordinates by xatlas, and the map from texels back to the surface.

Images are indexed [row, column] with row 0 at v = 1; the centre of column i lies at u = (i + 0.5) / size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xatlas
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from threestudio.errors import UserError
from threestudio.mesh.mesh import Mesh, TexturedMesh

# Space between charts in texels, so that bilinear lookups and the first mip levels do not mix neighbours.
PADDING = 2
# No chart is larger than this part of the surface: flattening is what takes xatlas long, and it takes far less time
# for two halves than for the whole.
LARGEST_CHART = 0.01


def unwrap(
    mesh: Mesh, texture_size: int, chart_options: Mapping[str, Any], pack_options: Mapping[str, Any]
) -> TexturedMesh:
    """Cut the surface into charts and pack them into one square; the options are xatlas's own."""
    cutting = {"max_chart_area": LARGEST_CHART * float(mesh.to_trimesh().area)} | dict(chart_options)
    charts = _with_options(xatlas.ChartOptions(), cutting, "xatlas_chart_options")
    packing = {"resolution": texture_size, "padding": PADDING} | dict(pack_options)
    packing = _with_options(xatlas.PackOptions(), packing, "xatlas_pack_options")
    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.positions.astype(np.float32), mesh.faces.astype(np.uint32))
    atlas.generate(charts, packing)
    vertices, faces, uv = atlas.get_mesh(0)
    uv = np.clip(uv.astype(np.float64), 0.0, 1.0)
    return TexturedMesh(mesh, uv, faces.astype(np.int64), vertices.astype(np.int64))


def _with_options(options: Any, given: Mapping[str, Any], key: str) -> Any:
    for name, value in given.items():
        if not hasattr(options, name):
            known = ", ".join(name for name in dir(options) if not name.startswith("_"))
            raise UserError(f"system.exporter.{key}: unknown option {name}; known: {known}")
        try:
            setattr(options, name, value)
        except TypeError:
            wanted = type(getattr(options, name)).__name__
            raise UserError(f'system.exporter.{key}.{name}: "{value}" is not of type {wanted}') from None
    return options


@dataclass(frozen=True)
class TexelMap:
    """The texels whose centre lies on a face: where they are in the image, their face, and their place in it."""

    covered: Bool[np.ndarray, "h w"]
    face: Int[np.ndarray, "texel"]
    barycentric: Float[np.ndarray, "texel 3"]

    def interpolate(
        self, values: Float[np.ndarray, "vertex c"], faces: Int[np.ndarray, "face 3"]
    ) -> Float[np.ndarray, "texel c"]:
        return np.einsum("tk,tkc->tc", self.barycentric, values[faces[self.face]])


def rasterise(textured: TexturedMesh, size: int) -> TexelMap:
    """Find the face under each texel's centre. Texels are listed row by row."""
    corners = textured.uv[textured.uv_faces] * size - 0.5  # so that texel centres are whole numbers
    corners[..., 1] = size - 1 - corners[..., 1]
    face, column, row = _texels_in_boxes(corners, size)
    barycentric = _barycentric(corners[face], np.stack([column, row], axis=-1))
    inside = (barycentric >= -1e-9).all(axis=-1)
    face, barycentric, texel = face[inside], barycentric[inside], (row * size + column)[inside]
    # A centre on a shared edge is found twice; either face will do.
    texel, first = np.unique(texel, return_index=True)
    covered = np.zeros(size * size, dtype=bool)
    covered[texel] = True
    return TexelMap(covered.reshape(size, size), face[first], barycentric[first])


def _texels_in_boxes(corners: Float[np.ndarray, "face 3 2"], size: int):
    """All pairs of a face and a texel whose centre lies in the face's bounding box."""
    low = np.clip(np.ceil(corners.min(axis=1)), 0, size).astype(np.int64)
    high = np.clip(np.floor(corners.max(axis=1)), -1, size - 1).astype(np.int64)
    extent = np.maximum(high - low + 1, 0)
    count = extent.prod(axis=1)
    face = np.repeat(np.arange(len(corners)), count)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    width = extent[face, 0]
    return face, low[face, 0] + number % width, low[face, 1] + number // width


def _barycentric(triangle: Float[np.ndarray, "pair 3 2"], point) -> Float[np.ndarray, "pair 3"]:
    """Of a point in the plane; not a number, hence never inside, for a triangle without area."""
    a, b, c = triangle[:, 0], triangle[:, 1], triangle[:, 2]
    ab, ac, ap = b - a, c - a, point - a
    with np.errstate(divide="ignore", invalid="ignore"):
        twice_area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
        of_b = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / twice_area
        of_c = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / twice_area
        return np.stack([1.0 - of_b - of_c, of_b, of_c], axis=-1)


def pad(image: Float[np.ndarray, "h w c"], covered: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w c"]:
    """Give every empty texel the colour of the nearest covered one: no seam at any mip level shows the background."""
    nearest = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return image[tuple(nearest)]
