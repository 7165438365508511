"""The geometry of a multi-resolution hash grid (Mueller et al. 2022, Sec. 3), laid out as tiny-cuda-nn lays it out.

Level l has `scale = base * growth^l - 1` cells across the unit cube, shifted by half a cell so that the levels'
vertices do not coincide. A level whose vertices fit into 2^log2_hashmap_size rows is stored
densely, others by a spatial hash.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

HASH_FACTORS = (1, 2654435761, 805459861)


@dataclass(frozen=True)
class Level:
    """`vertices` along an axis; its rows of the table are [start, start + rows)."""

    scale: float
    vertices: int
    start: int
    rows: int

    @property
    def dense(self) -> bool:
        return self.vertices**3 <= self.rows


def grid_levels(n_levels: int, log2_hashmap_size: int, base_resolution: int, per_level_scale: float) -> list[Level]:
    levels, start = [], 0
    for index in range(n_levels):
        scale = 2 ** (index * math.log2(per_level_scale)) * base_resolution - 1.0
        vertices = math.ceil(scale) + 1
        rows = min(math.ceil(vertices**3 / 8) * 8, 2**log2_hashmap_size)
        levels.append(Level(scale, vertices, start, rows))
        start += rows
    return levels


def cell_and_fraction(
    points: Float[Tensor, "3 point"], level: Level
) -> tuple[Int[Tensor, "3 point"], Float[Tensor, "3 point"]]:
    """Each point's cell, and where in it the point lies, in [0, 1)."""
    position = points * level.scale + 0.5
    cell = position.floor()
    return cell.to(torch.int32), position - cell


def corner_rows(cell: Int[Tensor, "3 point"], level: Level) -> Int[Tensor, "point 8"]:
    """The row, counted from the level's first, of each corner of each cell; z varies fastest."""
    if not level.dense:
        mask = level.rows - 1
        factors = [_as_int32(factor) for factor in HASH_FACTORS]
        axes = [((c * f) & mask, (c * f + f) & mask) for c, f in zip(cell, factors, strict=True)]
        return _over_corners(torch.bitwise_xor, axes)
    strides = (1, level.vertices, level.vertices**2)
    rows = _over_corners(torch.add, [(c * s, c * s + s) for c, s in zip(cell, strides, strict=True)])
    # Only cells that the cube's far faces cut have corners beyond the last vertex; tiny-cuda-nn wraps them.
    if rows.numel() and (rows.is_cuda or int(rows.max()) >= level.rows):  # on CUDA looking costs more
        rows.sub_((rows >= level.rows).to(rows.dtype), alpha=level.rows)
    return rows


def corner_weights(fraction: Float[Tensor, "3 point"]) -> Float[Tensor, "point 8"]:
    """Trilinear weights, in the order of `corner_rows`."""
    return _over_corners(torch.mul, [(1.0 - f, f) for f in fraction])


def corner_weight_slopes(fraction: Float[Tensor, "3 point"], level: Level) -> list[Float[Tensor, "point 8"]]:
    """Their derivatives by the point's x, y and z in the unit cube."""
    axes = [(1.0 - f, f) for f in fraction]
    slope = torch.full_like(fraction[0], level.scale)
    return [_over_corners(torch.mul, [*axes[:axis], (-slope, slope), *axes[axis + 1 :]]) for axis in range(3)]


def _over_corners(combine: Callable[..., Tensor], axes: list[tuple[Tensor, Tensor]]) -> Tensor:
    """`combine` over each of the eight choices of low or high along x, y and z: [point 8]."""
    in_x, in_y, in_z = axes
    in_xy = [combine(x, y) for y in in_y for x in in_x]
    corners = in_xy[0].new_empty(len(in_xy[0]), 8)
    for index, (xy, z) in enumerate((xy, z) for xy in in_xy for z in in_z):
        combine(xy, z, out=corners[:, index])
    return corners


def _as_int32(factor: int) -> int:
    """Multiplication modulo 2^32 is the same for signed and unsigned numbers."""
    return factor - 2**32 if factor >= 2**31 else factor
