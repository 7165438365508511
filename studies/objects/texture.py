"""Objects with image textures: each grid of a part is a rectangle of one picture, painted texel by texel.

A part knows its pattern and where in it its points lie, so that stripes, checks and logos are as sharp as the picture
and not as the mesh. All surfaces have the same number of texels a length, as many as fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from PIL import Image

from .shapes import Grid, Part

GUTTER = 2  # texels around a rectangle in the colours of its edge, for smaller versions of the picture
SMALLEST = 2  # texels of a rectangle's side
ROUGHNESS = 0.8


@dataclass(frozen=True)
class Chart:
    """A grid of a part, closed where it wraps: the first column once more behind the last, where u is 1."""

    part: Part
    grid: Grid
    first: int  # number of the grid's first point within its part

    @property
    def columns(self) -> int:
        return self.grid.columns + self.grid.wraps

    def closed(self, values: Float[ndarray, "point c"]) -> Float[ndarray, "row column c"]:
        """Of the part's points, those of this grid."""
        of_grid = values[self.first : self.first + self.grid.points].reshape(self.grid.rows, self.grid.columns, -1)
        return np.concatenate([of_grid, of_grid[:, :1]], axis=1) if self.grid.wraps else of_grid

    def lengths(self) -> tuple[float, float]:
        """The longest way along and across the rows."""
        points = self.closed(self.part.vertices)
        along, across = (np.linalg.norm(np.diff(points, axis=axis), axis=2).sum(axis=axis) for axis in (0, 1))
        return float(along.max()), float(across.max())

    def texels(self, density: float) -> tuple[int, int]:
        """Height and width of the rectangle, without its gutter."""
        height, width = (max(SMALLEST, round(length * density)) for length in self.lengths())
        return height, width

    def painted(self, height: int, width: int) -> UInt8[ndarray, "height width 3"]:
        """The first and last texels lie on the grid's first and last points."""
        uv = self.closed(self.part.uv)
        if self.grid.wraps:
            uv[:, -1, 0] = 1.0
        places, parameters = (resampled(values, height, width) for values in (self.closed(self.part.painted_at), uv))
        colours = self.part.pattern(places, parameters).reshape(height, width, 3)
        return np.clip(np.round(colours * 255), 0, 255).astype(np.uint8)


def resampled(values: Float[ndarray, "row column c"], height: int, width: int) -> Float[ndarray, "texel c"]:
    """Bilinearly, corners on corners."""
    rows, row, down = _between(values.shape[0], height)
    columns, column, right = _between(values.shape[1], width)
    down, right = down[:, None, None], right[None, :, None]
    upper = values[row][:, column] * (1 - right) + values[row][:, columns] * right
    lower = values[rows][:, column] * (1 - right) + values[rows][:, columns] * right
    return (upper * (1 - down) + lower * down).reshape(height * width, -1)


def _between(points: int, texels: int) -> tuple[ndarray, ndarray, ndarray]:
    """Of each texel the next point, the one before it, and how near the next one is."""
    position = np.linspace(0.0, points - 1.0, texels)
    before = np.minimum(position.astype(int), points - 2)
    return before + 1, before, position - before


def textured(parts: Sequence[Part], size: int) -> trimesh.Trimesh:
    """One mesh with one texture of `size` by `size` texels; vertices are doubled where a grid closes."""
    charts = [chart for part in parts for chart in charts_of(part)]
    density, corners = packed(charts, size)
    image = np.full((size, size, 3), 255, np.uint8)
    vertices, normals, uv, faces, count = [], [], [], [], 0
    for chart, (y, x) in zip(charts, corners, strict=True):
        height, width = chart.texels(density)
        with_gutter = np.pad(chart.painted(height, width), ((GUTTER, GUTTER), (GUTTER, GUTTER), (0, 0)), "edge")
        image[y : y + height + 2 * GUTTER, x : x + width + 2 * GUTTER] = with_gutter
        vertices.append(chart.closed(chart.part.vertices).reshape(-1, 3))
        normals.append(chart.closed(normals_of(chart.part)).reshape(-1, 3))
        across = x + GUTTER + 0.5 + np.linspace(0, width - 1, chart.columns)
        along = y + GUTTER + 0.5 + np.linspace(0, height - 1, chart.grid.rows)
        place = np.stack(np.broadcast_arrays(across[None, :], along[:, None]), axis=-1).reshape(-1, 2) / size
        uv.append(np.stack([place[:, 0], 1 - place[:, 1]], axis=1))
        faces.append(faces_of(chart) + count)
        count += len(vertices[-1])
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(image), metallicFactor=0.0, roughnessFactor=ROUGHNESS
    )
    return trimesh.Trimesh(
        np.concatenate(vertices),
        np.concatenate(faces),
        vertex_normals=np.concatenate(normals),
        visual=trimesh.visual.TextureVisuals(uv=np.concatenate(uv), material=material),
        process=False,
    )


def charts_of(part: Part) -> list[Chart]:
    firsts = np.cumsum([0, *(grid.points for grid in part.grids)])
    return [Chart(part, grid, int(first)) for grid, first in zip(part.grids, firsts, strict=False)]


def normals_of(part: Part) -> Float[ndarray, "point 3"]:
    return np.asarray(trimesh.Trimesh(part.vertices, part.faces, process=False).vertex_normals)


def faces_of(chart: Chart) -> Int[ndarray, "face 3"]:
    """The part's own faces, so that mirrored ones still face outwards, in the numbers of the closed grid."""
    inside = (chart.part.faces >= chart.first) & (chart.part.faces < chart.first + chart.grid.points)
    row, column = np.divmod(chart.part.faces[inside.all(axis=1)] - chart.first, chart.grid.columns)
    # A cell has neighbouring columns, unless it is the one that closes the grid.
    closing = chart.grid.wraps & (np.ptp(column, axis=1, keepdims=True) > 1)
    return row * chart.columns + np.where(closing & (column == 0), chart.grid.columns, column)


def packed(charts: Sequence[Chart], size: int) -> tuple[float, list[tuple[int, int]]]:
    """The largest density, in texels a length, at which all rectangles fit, and their upper left corners (y, x)."""
    low, high = 0.0, float(size) / max(max(chart.lengths()) for chart in charts)
    corners = shelves(charts, low, size)
    if corners is None:
        raise ValueError(f"{len(charts)} surfaces do not fit on a texture of {size} texels; take a larger one")
    for _ in range(24):
        middle = (low + high) / 2
        fitting = shelves(charts, middle, size)
        low, high, corners = (middle, high, fitting) if fitting is not None else (low, middle, corners)
    return low, corners


def shelves(charts: Sequence[Chart], density: float, size: int) -> list[tuple[int, int]] | None:
    """Rectangles from the highest to the lowest, row by row; None if they do not fit."""
    sides = np.array([chart.texels(density) for chart in charts]) + 2 * GUTTER
    corners: dict[int, tuple[int, int]] = {}
    x, y, below = 0, 0, 0
    for number in np.argsort(-sides[:, 0], kind="stable"):
        height, width = sides[number]
        if x + width > size:
            x, y = 0, below
        below = max(below, y + height)
        if x + width > size or below > size:
            return None
        corners[int(number)] = (int(y), int(x))
        x += width
    return [corners[number] for number in range(len(charts))]
