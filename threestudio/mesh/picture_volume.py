"""The solid that a surface starts from: the field's, as the picture shows it.

Everything is done on a grid of the picture's own rays: row and column of a coarse picture, and depth along its camera's
axis. There the object's outline is exactly the set of columns that the picture says are full, and what it says is empty
stays empty. The field's solid is blurred, since a field of few pixels knows nothing fine, and brought together with the
solid that the picture itself suggests, where there is one. Of each part of the picture
the largest piece is kept, and columns that it leaves empty are filled at the depth that the field's fog or the columns
around them have, as thick as the missing part is wide. So there are as many parts as the picture shows; none floats.
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
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.surface_nets import surface_nets
from threestudio.models.mesh_cleaning import smooth
from threestudio.models.reference_view import ReferenceView
from threestudio.utils.ranges import within

Density = Callable[[Float[Tensor, "point 3"]], Float[Tensor, "point 1"]]
Suggestion = Callable[[Float[Tensor, "point 3"]], Float[Tensor, "point"]]  # how likely points are inside, 0 to 1

CHUNK = 1 << 17  # field evaluations at once
SPAN = np.log(2.0)  # beyond this factor above or below the level a density says only inside or outside
FAINTEST = 0.02  # opacity of a column that tells where something lies
RIM = 2  # cells at the outline that the fit will fill
OVERLAP = 2  # cells by which a filled part reaches into what is there
STEEPEST = 1.0  # slope in depth of a filled part, from the nearest column that is not missing
THINNEST = 1.2  # cells, half thickness
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
    inside = largest_pieces(with_thin_sheets(blurred(solid, mask, config.smoothing), solid, config.smoothing), mask)
    if suggestion is not None and config.suggested_weight > 0:
        suggested = 2.0 * valued(grid, mask, suggestion) - 1.0
        inside = (1.0 - config.suggested_weight) * inside + config.suggested_weight * suggested
        inside = largest_pieces(inside, mask)
    inside = without_pits(inside, mask, config.widest_pit)
    if config.fill_missing:
        inside = with_missing_columns(inside, mask, matter * grid.cell, config.smoothing)
    return np.minimum(inside, outline_distance(grid)[..., None])


def without_dust(mask: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    parts, count = ndimage.label(mask, np.ones((3, 3)))
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


def with_thin_sheets(
    inside: Float[np.ndarray, "row column layer"], solid: Float[np.ndarray, "row column layer"], smoothing: float
) -> Float[np.ndarray, "row column layer"]:
    """Columns that the blur has emptied, since what stood there is thin, as deep and as thick as they were."""
    lost = (solid > 0).any(axis=2) & ~(inside > 0).any(axis=2)
    middle, count = middles(np.where(solid > 0, 1.0, 0.0))
    middle, half = (mean_within(values, lost, smoothing) for values in (middle, 0.5 * count))
    sheet = slab(middle, np.maximum(half, THINNEST), inside.shape[2])
    return np.where(lost[..., None], np.maximum(inside, sheet), inside)


def slab(
    middle: Float[np.ndarray, "row column"], half: Float[np.ndarray, "row column"], layers: int
) -> Float[np.ndarray, "row column layer"]:
    """Inside within `half` of the middle."""
    return np.clip((half[..., None] - np.abs(np.arange(layers) - middle[..., None])) / 2.0, -1.0, 1.0)


def largest_pieces(
    inside: Float[np.ndarray, "row column layer"], mask: Bool[np.ndarray, "row column"]
) -> Float[np.ndarray, "row column layer"]:
    """For each part of the mask the piece of the solid with the most cells; the others are emptied."""
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    pieces, _ = ndimage.label(inside > 0)
    kept = np.zeros(pieces.max() + 1, dtype=bool)
    for part in range(1, count + 1):
        size = np.bincount(pieces[parts == part].reshape(-1))
        if len(size) > 1:
            kept[1 + size[1:].argmax()] = True
    return np.where((inside > 0) & ~kept[pieces], -1.0, inside)


def without_pits(
    inside: Float[np.ndarray, "row column layer"], mask: Bool[np.ndarray, "row column"], widest: float
) -> Float[np.ndarray, "row column layer"]:
    """Hollows in the side that the picture shows, narrower than a disc, filled from the front.

    A field explains a dark window or an eye as readily by a pit as by its colour. The front as the camera sees it is
    opened by a disc (Serra 1982); slopes and whatever is wider than the disc stay.
    """
    full = (inside > 0).any(axis=2)
    front = np.where(full, (inside > 0).argmax(axis=2), inside.shape[2]).astype(np.float32)
    rows, columns = np.nonzero(mask)
    diameter = int(widest * max(np.ptp(rows), np.ptp(columns))) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
    far = float(inside.shape[2])
    opened = cv2.dilate(cv2.erode(np.where(mask, front, far), disc, borderValue=far), disc, borderValue=0.0)
    layer = np.arange(inside.shape[2])
    filled = (layer >= np.minimum(opened, front)[..., None]) & (layer < front[..., None]) & full[..., None]
    return np.where(filled, np.maximum(inside, 0.5), inside)


def with_missing_columns(
    inside: Float[np.ndarray, "row column layer"],
    mask: Bool[np.ndarray, "row column"],
    optical_depth: Float[np.ndarray, "row column layer"],
    smoothing: float,
) -> Float[np.ndarray, "row column layer"]:
    """Columns of the mask that are empty, filled around the middle of what the field has there, or beside it."""
    full = (inside > 0).any(axis=2)
    around = np.ones((3, 3), dtype=bool)
    missing = mask & ~ndimage.binary_dilation(full, around, iterations=RIM) | enclosed(mask & ~full, mask)
    if not missing.any() or not full.any():
        return inside
    missing = mask & ~full & ndimage.binary_dilation(missing, around, iterations=RIM)
    reached = mask & ndimage.binary_dilation(missing, around, iterations=OVERLAP)
    half = mean_within(np.maximum(ndimage.distance_transform_edt(reached), THINNEST), reached, smoothing)
    away, nearest = ndimage.distance_transform_edt(~full, return_indices=True)
    known = middles(np.where(full[..., None], np.maximum(inside, 0.0), 0.0))[0][tuple(nearest)]
    middle = np.clip(
        fog_middles(optical_depth, missing, known, smoothing), known - STEEPEST * away, known + STEEPEST * away
    )
    middle = mean_within(middle, reached, smoothing)
    layer = np.arange(inside.shape[2])
    added = (half[..., None] - np.abs(layer - middle[..., None])) / 2.0
    return np.where(reached[..., None], np.maximum(inside, np.clip(added, -1.0, 1.0)), inside)


def enclosed(
    empty: Bool[np.ndarray, "row column"], mask: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """Holes in the columns that are full which are none in the mask: no fit could close them."""
    holes, count = ndimage.label(empty)
    open_ones = np.unique(holes[ndimage.binary_dilation(~mask, np.ones((3, 3), dtype=bool))])
    closed = np.ones(count + 1, dtype=bool)
    closed[open_ones] = closed[0] = False
    return closed[holes]


def mean_within(
    values: Float[np.ndarray, "row column"], region: Bool[np.ndarray, "row column"], deviation: float
) -> Float[np.ndarray, "row column"]:
    """A Gaussian mean over the neighbours that belong to a region, in the region; the values elsewhere."""
    weight = ndimage.gaussian_filter(region.astype(np.float64), deviation)
    mean = ndimage.gaussian_filter(np.where(region, values, 0.0), deviation) / np.maximum(weight, 1e-9)
    return np.where(region, mean, values)


def fog_middles(optical_depth, missing, known, smoothing) -> Float[np.ndarray, "row column"]:
    """Smooth over neighbouring columns, by their opacity; where there is next to none, the nearest known middle."""
    middle, total = middles(optical_depth)
    opacity = np.where(missing, 1.0 - np.exp(-total), 0.0)
    opacity = np.where(opacity > FAINTEST, opacity, 0.0)
    weight = ndimage.gaussian_filter(opacity, 2 * smoothing)
    smooth = ndimage.gaussian_filter(middle * opacity, 2 * smoothing) / np.maximum(weight, 1e-6)
    return np.where(weight > 0.1 * FAINTEST, smooth, known)


def middles(
    matter: Float[np.ndarray, "row column layer"],
) -> tuple[Float[np.ndarray, "row column"], Float[np.ndarray, "row column"]]:
    """The layer before which half of a column's matter lies, and how much there is in all."""
    so_far = np.cumsum(matter, axis=2)
    total = so_far[..., -1]
    return (so_far < 0.5 * total[..., None]).sum(axis=2).astype(np.float64), total


def outline_distance(grid: PictureGrid) -> Float[np.ndarray, "row column"]:
    """Signed distance to the picture's outline in cells, positive inside, cut to -1..1; to a fraction of a cell."""
    alpha = grid.alpha
    mask = without_dust(alpha > 0.5)
    within = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    rim = np.abs(within) <= 1
    return np.clip(np.where(rim & (mask == (alpha > 0.5)), 2.0 * alpha - 1.0, within), -1.0, 1.0)
