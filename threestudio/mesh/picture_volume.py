"""The solid that a surface starts from: the field's, as the picture shows it.

Everything is done on a grid of the picture's own rays: row and column of a coarse picture, and depth along its camera's
axis. There the object's outline is exactly the set of columns that the picture says are full, and what it says is empty
stays empty. The field's solid is blurred, since a field of few pixels knows nothing fine, and brought together with the
solid that the picture itself suggests, where there is one. Of each part of the picture
the largest piece is kept, and columns that it leaves empty are filled at the depth of the columns around them, as thick
as the missing part is wide. So there are as many parts as the picture shows; none floats.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from threestudio.cameras import pixel_size
from threestudio.mesh.cleaning import smooth
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.missing_columns import AROUND, with_missing_columns
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.surface_nets import surface_nets
from threestudio.utils.ranges import within

Density = Callable[[Float[Tensor, "point 3"]], Float[Tensor, "point 1"]]
Suggestion = Callable[[Float[Tensor, "point 3"]], Float[Tensor, "point"]]  # how likely points are inside, 0 to 1

CHUNK = 1 << 17  # field evaluations at once
SPAN = np.log(2.0)  # beyond this factor above or below the level a density says only inside or outside
SMALLEST_PART = 0.002  # of the picture's mask: smaller islands of it are dust


@dataclass
class StartConfig:
    faces: int = within(32_000, 100, 2_000_000)  # about
    smoothing: float = within(2.0, 0, 100, "cells")  # standard deviation: a field of 64 px knows nothing finer
    widest_pit: float = within(0.15, 0, 1)  # that is filled, as a share of the object's larger side in the picture
    fill_missing: bool = True  # columns that the picture says are full and the field leaves empty
    suggested_weight: float = within(0.3, 0, 1)  # of the solid that the picture suggests, beside the field's
    taubin_iterations: int = within(60, 0, 1000)  # take off the grid's steps


@dataclass(frozen=True)
class PictureGrid:
    """Cells of about `cell` world units along the rays of a picture of `size` x `size` pixels."""

    view: ReferenceView
    size: int
    near: float  # depth of the first layer
    cell: float
    layers: int

    @classmethod
    def around(cls, view: ReferenceView, bbox: Float[np.ndarray, "2 3"], cell: float) -> "PictureGrid":
        """Over the whole picture and the depths of a box."""
        corners = np.stack(np.meshgrid(*bbox.T, indexing="ij"), axis=-1).reshape(-1, 3)
        depth = (corners - view.origin) @ -view.c2w[:3, 2]
        middle = float(np.linalg.norm(view.origin))
        size = int(np.ceil(middle * pixel_size(view.fovy_deg, 1) / cell))
        return cls(view, size, float(depth.min()), cell, int(np.ceil(np.ptp(depth) / cell)) + 1)

    @property
    def mask(self) -> Bool[np.ndarray, "row column"]:
        return self.alpha > 0.5

    @property
    def alpha(self) -> Float[np.ndarray, "row column"]:
        alpha = np.ascontiguousarray(self.view.rgba[..., 3], dtype=np.float32)
        return cv2.resize(alpha, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def points(self, index: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point 3"]:
        """World positions of (row, column, layer), which may lie between the cells."""
        pixel = pixel_size(self.view.fovy_deg, self.size)
        row, column, layer = index.T
        across = np.stack([column + 0.5 - 0.5 * self.size, 0.5 * self.size - row - 0.5], axis=1) * pixel
        depth = (self.near + self.cell * layer)[:, None]
        in_axes = np.concatenate([across * depth, -depth], axis=1)
        return in_axes @ self.view.c2w[:3, :3].T + self.view.origin


def starting_surface(
    view: ReferenceView,
    density: Density,
    bbox: Float[Tensor, "2 3"],
    level: float,
    config: StartConfig,
    suggestion: Suggestion | None = None,
) -> Mesh:
    """A closed, even and smooth mesh in world coordinates; the field is solid where its density is above `level`."""
    box = bbox.detach().cpu().double().numpy()
    cell = float(np.ptp(box, axis=0).max()) / 96
    for _ in range(2):  # the number of faces is known only when they are there
        grid = PictureGrid.around(view, box, cell)
        mesh = surface_nets(picture_solid(grid, density, bbox, level, config, suggestion))
        cell *= np.sqrt(len(mesh.faces) / config.faces)
    # Down, right and away are a left-handed frame.
    turned = Mesh(grid.points(mesh.positions), np.ascontiguousarray(mesh.faces[:, ::-1]))
    return smooth(turned, config.taubin_iterations)


def picture_solid(
    grid: PictureGrid,
    density: Density,
    bbox: Float[Tensor, "2 3"],
    level: float,
    config: StartConfig,
    suggestion: Suggestion | None = None,
) -> Float[np.ndarray, "row column layer"]:
    """Positive inside; about linear across the surface."""
    mask = without_dust(grid.mask)
    matter = sampled(grid, mask, density, bbox)
    solid = np.clip(np.log(np.maximum(matter, 1e-20) / level) / SPAN, -1.0, 1.0)
    solid = largest_pieces(solid, mask)  # before the blur, which would tie to it what floats nearby
    inside = largest_pieces(blurred(solid, mask, config.smoothing), mask)
    if suggestion is not None and config.suggested_weight > 0:
        suggested = 2.0 * valued(grid, mask, suggestion) - 1.0
        inside = (1.0 - config.suggested_weight) * inside + config.suggested_weight * suggested
        inside = largest_pieces(inside, mask)
    inside = without_pits(inside, mask, config.widest_pit)
    if config.fill_missing:
        inside = with_missing_columns(inside, mask, solid, matter * grid.cell, config.smoothing)
    inside = np.minimum(inside, outline_distance(grid)[..., None])
    return without_cavities(largest_pieces(inside, mask))


def without_dust(mask: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    parts, count = ndimage.label(mask, AROUND)
    size = np.bincount(parts.reshape(-1), minlength=count + 1)
    return mask & (size >= SMALLEST_PART * mask.sum())[parts]


def sampled(
    grid: PictureGrid, mask: Bool[np.ndarray, "row column"], density: Density, bbox: Float[Tensor, "2 3"]
) -> Float[np.ndarray, "row column layer"]:
    """The field's density; 0 outside the mask's columns and the box."""

    def in_the_box(points: Float[Tensor, "point 3"]) -> Float[Tensor, "point"]:
        points = points.to(bbox)
        inside = ((points >= bbox[0]) & (points <= bbox[1])).all(dim=1)
        found = torch.zeros(len(points))
        if inside.any():
            found[inside.cpu()] = density(points[inside]).reshape(-1).float().cpu()
        return found

    return valued(grid, mask, in_the_box)


@torch.no_grad()
def valued(
    grid: PictureGrid, mask: Bool[np.ndarray, "row column"], function: Suggestion
) -> Float[np.ndarray, "row column layer"]:
    """A function of points in the mask's columns; 0 elsewhere and where it is not a number."""
    values = np.zeros((grid.size, grid.size, grid.layers), dtype=np.float32)
    row, column = np.nonzero(mask)
    index = np.stack([np.repeat(row, grid.layers), np.repeat(column, grid.layers)], axis=1)
    layer = np.tile(np.arange(grid.layers), len(row))
    points = torch.from_numpy(grid.points(np.column_stack([index, layer]).astype(np.float64))).float()
    found = torch.cat([function(part).float().cpu() for part in points.split(CHUNK)])
    values[row, column] = found.nan_to_num().numpy().reshape(len(row), grid.layers)
    return values


def blurred(
    values: Float[np.ndarray, "row column layer"], mask: Bool[np.ndarray, "row column"], deviation: float
) -> Float[np.ndarray, "row column layer"]:
    """What is outside the mask is outside the solid: edges that its columns cut get round."""
    return ndimage.gaussian_filter(np.where(mask[..., None], values, -1.0), deviation, mode="nearest")


def largest_pieces(
    inside: Float[np.ndarray, "row column layer"], mask: Bool[np.ndarray, "row column"]
) -> Float[np.ndarray, "row column layer"]:
    """For each part of the mask the piece of the solid with the most cells; the others are emptied."""
    parts, count = ndimage.label(mask, AROUND)
    pieces, _ = ndimage.label(inside > 0)
    kept = np.zeros(pieces.max() + 1, dtype=bool)
    for part in range(1, count + 1):
        size = np.bincount(pieces[parts == part].reshape(-1))
        if len(size) > 1:
            kept[1 + size[1:].argmax()] = True
    return np.where((inside > 0) & ~kept[pieces], -1.0, inside)


def without_cavities(inside: Float[np.ndarray, "row column layer"]) -> Float[np.ndarray, "row column layer"]:
    """Hollows that no way leads to from outside are filled."""
    closed = ndimage.binary_fill_holes(inside > 0) & (inside <= 0)
    return np.where(closed, 1.0, inside)


def without_pits(
    inside: Float[np.ndarray, "row column layer"], mask: Bool[np.ndarray, "row column"], widest: float
) -> Float[np.ndarray, "row column layer"]:
    """Hollows in the side that the picture shows, narrower than a disc, filled from the front.

    A field explains a dark window or an eye as readily by a pit as by its colour. The front as the camera sees it is
    opened by a disc (Serra 1982); slopes and whatever is wider than the disc stay.
    """
    full = np.any(inside > 0, axis=2)
    front = np.where(full, (inside > 0).argmax(axis=2), inside.shape[2]).astype(np.float32)
    rows, columns = np.nonzero(mask)
    diameter = int(widest * max(np.ptp(rows), np.ptp(columns))) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
    far = float(inside.shape[2])
    opened = cv2.dilate(cv2.erode(np.where(mask, front, far), disc, borderValue=far), disc, borderValue=0.0)
    layer = np.arange(inside.shape[2])
    filled = (layer >= np.minimum(opened, front)[..., None]) & (layer < front[..., None]) & full[..., None]
    return np.where(filled, np.maximum(inside, 0.5), inside)


def outline_distance(grid: PictureGrid) -> Float[np.ndarray, "row column"]:
    """Signed distance to the picture's outline in cells, positive inside, cut to -1..1; to a fraction of a cell."""
    alpha = grid.alpha
    mask = without_dust(alpha > 0.5)
    within = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    rim = np.abs(within) <= 1
    return np.clip(np.where(rim & (mask == (alpha > 0.5)), 2.0 * alpha - 1.0, within), -1.0, 1.0)
