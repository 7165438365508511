"""The surface of a density field, by marching cubes on a grid that is fine only where the surface is.

1. A coarse grid over the whole box finds the level (`surface_level`) and the part of the box that is occupied.
2. A grid of half the resolution over that part finds the level again and the cells that the surface passes.
3. Only those cells and their neighbours are evaluated at full resolution.

Cavities that no ray from outside can reach are filled; holes through the object stay.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Real
from scipy import ndimage
from skimage.measure import marching_cubes
from torch import Tensor

from threestudio.errors import UserError
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.surface_level import LEVEL_SPAN, haze_of, rendering_level, signed_level

COARSE_RESOLUTION = 64
DEFAULT_CHUNK = 1 << 17

Density = Callable[[Float[Tensor, "point 3"]], Float[Tensor, "point 1"]]


@dataclass(frozen=True)
class IsosurfaceSettings:
    """Upstream's `isosurface_*` keys of a geometry."""

    resolution: int = 160  # samples along the longest side of the occupied box
    threshold: float | str = "auto"
    chunk: int = 0  # points evaluated at once; 0 chooses
    coarse_to_fine: bool = True

    @classmethod
    def from_geometry(cls, cfg: Any) -> "IsosurfaceSettings":
        given = {name: getattr(cfg, f"isosurface_{name}", None) for name in cls.__dataclass_fields__}
        return cls(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class DensityGrid:
    """Densities at the corners of cubic cells, and where these lie."""

    values: Float[np.ndarray, "x y z"]
    origin: Float[np.ndarray, "3"]
    step: float

    def point_of(self, index: Real[np.ndarray, "*point 3"]) -> Float[np.ndarray, "*point 3"]:
        return self.origin + self.step * index


def extract_isosurface(density: Density, bbox: Float[Tensor, "2 3"], settings: IsosurfaceSettings) -> Mesh:
    """The closed surface of a density on the box; raises `UserError` if nothing in it is opaque."""
    return _surface(*_sampled(density, bbox, settings))


def level_of_field(density: Density, bbox: Float[Tensor, "2 3"], settings: IsosurfaceSettings) -> float:
    """The density at which the field's solid begins; raises `UserError` if nothing in it is opaque."""
    lower, upper = bbox.detach().cpu().double().numpy()
    sample = _sampler(density, bbox.device, settings.chunk or DEFAULT_CHUNK)
    grid = _sample_box(sample, lower, upper, min(COARSE_RESOLUTION, settings.resolution))
    return _level(grid, settings.threshold, haze_of(grid.values))


def _sampled(density: Density, bbox: Float[Tensor, "2 3"], settings: IsosurfaceSettings) -> tuple[DensityGrid, float]:
    """The density where the surface is, and the level that cuts it."""
    lower, upper = bbox.detach().cpu().double().numpy()
    chunk = settings.chunk or DEFAULT_CHUNK
    sample = _sampler(density, bbox.device, chunk)
    if not settings.coarse_to_fine:
        grid = _sample_box(sample, lower, upper, settings.resolution)
        return grid, _level(grid, settings.threshold, haze_of(grid.values))
    coarse = _sample_box(sample, lower, upper, min(COARSE_RESOLUTION, settings.resolution))
    haze = haze_of(coarse.values)
    level = _level(coarse, settings.threshold, haze)
    occupied = _occupied_box(coarse, 0.5 * (level + haze), lower, upper)
    half = _sample_box(sample, occupied[0], occupied[1], (settings.resolution + 1) // 2)
    level = _level(half, settings.threshold, haze)
    return _refine(half, level, sample), level


def _sampler(density: Density, device: torch.device, chunk: int):
    def sample(points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point"]:
        values = np.empty(len(points), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, len(points), chunk):
                part = torch.from_numpy(points[start : start + chunk].astype(np.float32)).to(device)
                values[start : start + chunk] = density(part).reshape(-1).float().cpu().numpy()
        return np.nan_to_num(values, nan=0.0)

    return sample


def _sample_box(sample, lower, upper, resolution: int) -> DensityGrid:
    """Cubic cells: `resolution` samples along the longest side, fewer along the others."""
    step = float((upper - lower).max() / (resolution - 1))
    counts = np.ceil((upper - lower) / step - 1e-6).astype(int) + 1
    grid = DensityGrid(np.empty(tuple(counts), dtype=np.float32), np.asarray(lower), step)
    index = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, 3)
    grid.values[:] = sample(grid.point_of(index)).reshape(counts)
    return grid


def _level(grid: DensityGrid, threshold: float | str, haze: float) -> float:
    highest = float(grid.values.max())
    if threshold == "auto":
        level = rendering_level(grid.values, grid.step, haze)
        if level is None:
            raise UserError(
                f"empty field: no ray through it reaches half opacity (highest density {highest:.3g}); "
                "train for more steps (trainer.max_steps) or give a level (system.geometry.isosurface_threshold)"
            )
        return level
    try:
        level = float(threshold)
    except ValueError:
        raise UserError(f'isosurface_threshold: "{threshold}" is neither a number nor "auto"') from None
    if highest <= level:
        raise UserError(
            f"empty surface: no density above isosurface_threshold={level:g} (highest {highest:.3g}); "
            "lower system.geometry.isosurface_threshold or set it to auto"
        )
    return level


def _occupied_box(grid: DensityGrid, level: float, lower, upper):
    occupied = np.argwhere(grid.values > level)
    low, high = grid.point_of(occupied.min(axis=0) - 2), grid.point_of(occupied.max(axis=0) + 2)
    return np.maximum(low, lower), np.minimum(high, upper)


def _refine(grid: DensityGrid, level: float, sample) -> DensityGrid:
    """Twice the resolution; new samples only in cells near the surface, elsewhere the nearest old one."""
    shape = tuple(2 * count - 1 for count in grid.values.shape)
    nearest = tuple(np.arange(count) // 2 for count in shape)
    fine = DensityGrid(grid.values[np.ix_(*nearest)], grid.origin, 0.5 * grid.step)
    index = np.argwhere(_points_of_cells(_cells_near_the_surface(grid.values > level), shape))
    fine.values[tuple(index.T)] = sample(fine.point_of(index))
    return fine


def _cells_near_the_surface(solid: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "cell_x cell_y cell_z"]:
    corners = [solid[x : x - 1 or None, y : y - 1 or None, z : z - 1 or None] for x, y, z in np.ndindex(2, 2, 2)]
    mixed = np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)
    return ndimage.binary_dilation(mixed, np.ones((3, 3, 3), dtype=bool))


def _points_of_cells(cells, shape) -> Bool[np.ndarray, "x y z"]:
    """The fine samples inside and on the border of the given coarse cells."""
    points = np.zeros(shape, dtype=bool)
    for offset in np.ndindex(3, 3, 3):
        points[tuple(slice(o, o + 2 * n - 1, 2) for o, n in zip(offset, cells.shape, strict=True))] |= cells
    return points


def _surface(grid: DensityGrid, level: float) -> Mesh:
    signed = signed_level(grid.values, level)
    signed[signed == 0] = 1e-6  # a sample exactly on the level would give faces without area
    # One layer of outside all around closes the surface where the object touches the box.
    signed = np.pad(signed, 1, constant_values=-LEVEL_SPAN)
    signed[_cavities(signed > 0)] = LEVEL_SPAN
    positions, faces, _, _ = marching_cubes(signed, 0.0, gradient_direction="ascent")
    return Mesh(grid.point_of(positions.astype(np.float64) - 1.0), faces.astype(np.int64))


def _cavities(solid: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """Empty samples that are not connected to the outside; sample 0, 0, 0 is outside."""
    regions, _ = ndimage.label(~solid)
    return ~solid & (regions != regions[0, 0, 0])
