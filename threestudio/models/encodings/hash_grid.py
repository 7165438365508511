"""Multi-resolution hash encoding (Mueller et al. 2022): points in [0, 1]^3 to the features of all levels.

One table holds all levels, in tiny-cuda-nn's order, so that a checkpoint fits both. The points pass in chunks; their
corners are kept for the backward pass where one lookup's take little memory, and computed anew beyond.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from threestudio.errors import UserError
from threestudio.models.encodings.corner_sums import gather, scatter_add_
from threestudio.models.encodings.grid_levels import (
    Level,
    cell_and_fraction,
    corner_rows,
    corner_weight_slopes,
    corner_weights,
    grid_levels,
)
from threestudio.models.encodings.tiny_cuda_nn import tiny_cuda_nn_encoding
from threestudio.utils.config import config_to_primitive, parse_structured
from threestudio.utils.ranges import one_of, within

MOST_VERTICES = 1 << 20  # along a side: float32 tells no more points apart
INITIAL_RANGE = 1e-4
CHUNK = {"cpu": 1 << 16, "cuda": 1 << 20}
KEPT_BYTES = 1 << 26


@dataclass
class HashGridConfig:
    """tiny-cuda-nn's keys."""

    otype: str = "HashGrid"
    n_levels: int = within(16, 1, 32)
    n_features_per_level: int = within(2, 1, 8)
    log2_hashmap_size: int = within(19, 1, 24)
    base_resolution: int = within(16, 1, 4096, "cells a side")
    per_level_scale: float = within(2.0, 1, 4)
    include_xyz: bool = False  # the coordinates themselves, in [-1, 1], in front of the features
    type: str = one_of("Hash")
    interpolation: str = one_of("Linear")


class HashGrid(nn.Module):
    """`config` is a HashGridConfig; the output is n_levels * n_features_per_level wide, coarse first."""

    Config = HashGridConfig

    def __init__(self, n_input_dims: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        if n_input_dims != 3:
            raise UserError(f"pos_encoding_config: a hash grid takes 3 input dimensions, not {n_input_dims}")
        cfg = parse_structured(self.Config, config)
        self.n_levels: int = cfg.n_levels
        self.n_features_per_level: int = cfg.n_features_per_level
        self.levels = grid_levels(cfg.n_levels, cfg.log2_hashmap_size, cfg.base_resolution, cfg.per_level_scale)
        if self.levels[-1].vertices > MOST_VERTICES:
            finest = f"{self.levels[-1].scale:.3g} cells a side, more than {MOST_VERTICES}"
            raise UserError(f"pos_encoding_config: its finest level has {finest}; lower per_level_scale or n_levels")
        self.n_input_dims = n_input_dims
        self.n_output_dims = self.n_levels * self.n_features_per_level
        rows = self.levels[-1].start + self.levels[-1].rows
        self.table = nn.Parameter(torch.empty(rows, self.n_features_per_level).uniform_(-INITIAL_RANGE, INITIAL_RANGE))
        self._on_cuda = tiny_cuda_nn_encoding(n_input_dims, config_to_primitive(cfg))

    def forward(self, points: Float[Tensor, "point 3"], n_active: int | None = None) -> Float[Tensor, "point feature"]:
        """Levels from `n_active` on are zero and cost nothing."""
        points = points.clamp(0.0, 1.0)
        active = self.levels[:n_active]
        if self._on_cuda is not None and points.is_cuda and len(active) == self.n_levels:
            return self._on_cuda(points, self.table)
        differentiable = torch.is_grad_enabled()
        if not (points.requires_grad and differentiable):
            return self._padded(_Lookup.apply(points, self.table, active, False, differentiable)[..., 0].flatten(1))
        # Exact in value and slope, and the slope can be differentiated by the table: what analytic normals need.
        # Only the second derivative by the points is missing.
        jet = _Lookup.apply(points.detach(), self.table, active, True, differentiable).flatten(1, 2)
        step = (points - points.detach())[:, None]
        return self._padded(jet[..., 0] + (jet[..., 1:] * step).sum(-1))

    def _padded(self, features: Tensor) -> Float[Tensor, "point feature"]:
        return nn.functional.pad(features, (0, self.n_output_dims - features.shape[1]))


class _Lookup(Function):
    """[point level feature 1], the features; or [.. 4], the features and their slopes along x, y and z."""

    @staticmethod
    def forward(
        ctx: Any, points: Tensor, table: Tensor, levels: list[Level], with_slopes: bool, differentiable: bool
    ) -> Tensor:
        ctx.levels, ctx.with_slopes, ctx.table_shape = levels, with_slopes, table.shape
        output = table.new_empty(len(points), len(levels), table.shape[1], 4 if with_slopes else 1)
        # Eight corners with a row and a weight (or four) of four bytes each.
        n_bytes = len(points) * len(levels) * 32 * (5 if with_slopes else 2)
        keep = differentiable and n_bytes <= KEPT_BYTES
        kept: list[Tensor] = []
        for part, chunk in _chunks(points):
            for index, level in enumerate(levels):
                rows, weightings = _corners(chunk, level, with_slopes)
                kept += [rows, *weightings] if keep else []
                for column, weights in enumerate(weightings):
                    features = gather(table[level.start : level.start + level.rows], rows, weights)
                    output[part, index, :, column] = features
        ctx.save_for_backward(points, *kept)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        points, *kept = ctx.saved_tensors
        corners = iter(kept)
        n_rows, n_features = ctx.table_shape
        table = gradient.new_zeros(n_features, n_rows)
        for part, chunk in _chunks(points):
            for index, level in enumerate(ctx.levels):
                if kept:
                    rows, *weightings = (next(corners) for _ in range(5 if ctx.with_slopes else 2))
                else:
                    rows, weightings = _corners(chunk, level, ctx.with_slopes)
                of_level = table[:, level.start : level.start + level.rows]
                scatter_add_(of_level, rows, weightings, gradient[part, index])
        return None, table.t().contiguous(), None, None, None


def _corners(chunk: Tensor, level: Level, with_slopes: bool) -> tuple[Tensor, list[Tensor]]:
    cell, fraction = cell_and_fraction(chunk, level)
    slopes = corner_weight_slopes(fraction, level) if with_slopes else []
    return corner_rows(cell, level), [corner_weights(fraction), *slopes]


def _chunks(points: Tensor) -> list[tuple[slice, Tensor]]:
    """Slices of the points, and their coordinates as planes [3 point]."""
    size = CHUNK["cuda" if points.is_cuda else "cpu"]
    slices = [slice(start, start + size) for start in range(0, len(points), size)]
    return [(part, points[part].t().contiguous()) for part in slices]
