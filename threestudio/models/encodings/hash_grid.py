"""Multi-resolution hash encoding (Mueller et al. 2022): points in [0, 1]^3 to the features of all levels.

One table holds all levels, in tiny-cuda-nn's order, so that a checkpoint fits both. On a CPU the points pass in chunks
whose temporaries stay in the cache, and the backward pass computes rows and weights anew: cheaper than storing them.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from threestudio.errors import UserError
from threestudio.models.encodings.corner_sums import gather, scatter_, weighted_rows
from threestudio.models.encodings.grid_levels import Level, cell_and_fraction, corner_rows, corner_weights, grid_levels
from threestudio.models.encodings.tiny_cuda_nn import tiny_cuda_nn_encoding

INITIAL_RANGE = 1e-4
CHUNK = {"cpu": 1 << 16, "cuda": 1 << 20}


class HashGrid(nn.Module):
    """`config` speaks tiny-cuda-nn's vocabulary; the output is n_levels * n_features_per_level wide, coarse first."""

    def __init__(self, n_input_dims: int, config: dict[str, Any]) -> None:
        super().__init__()
        if n_input_dims != 3:
            raise UserError(f"pos_encoding_config: a hash grid takes 3 input dimensions, not {n_input_dims}")
        self.n_levels: int = config.get("n_levels", 16)
        self.n_features_per_level: int = config.get("n_features_per_level", 2)
        self.levels = grid_levels(
            self.n_levels,
            config.get("log2_hashmap_size", 19),
            config.get("base_resolution", 16),
            config.get("per_level_scale", 2.0),
        )
        self.n_input_dims = n_input_dims
        self.n_output_dims = self.n_levels * self.n_features_per_level
        rows = self.levels[-1].start + self.levels[-1].rows
        self.table = nn.Parameter(torch.empty(rows, self.n_features_per_level).uniform_(-INITIAL_RANGE, INITIAL_RANGE))
        self._on_cuda = tiny_cuda_nn_encoding(n_input_dims, config)

    def forward(self, points: Float[Tensor, "point 3"], n_active: int | None = None) -> Float[Tensor, "point feature"]:
        """Levels from `n_active` on are zero and cost nothing."""
        points = points.clamp(0.0, 1.0)
        active = self.levels[:n_active]
        if self._on_cuda is not None and points.is_cuda and len(active) == self.n_levels:
            return self._on_cuda(points, self.table)
        if points.requires_grad and torch.is_grad_enabled():
            features = _differentiable_lookup(points, self.table, active)
        else:
            features = _Lookup.apply(points, self.table, active)
        return nn.functional.pad(features, (0, self.n_output_dims - features.shape[1]))


class _Lookup(Function):
    """For points without gradient: the usual case, and the fast one."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, levels: list[Level]) -> Tensor:
        ctx.save_for_backward(points)
        ctx.levels, (ctx.n_rows, ctx.n_features) = levels, table.shape
        features = table.new_empty(len(points), len(levels), table.shape[1])
        for part, chunk in _chunks(points):
            for index, level in enumerate(levels):
                rows, weights = _corners(chunk, level)
                features[part, index] = gather(table[level.start : level.start + level.rows], rows, weights)
        return features.flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (points,) = ctx.saved_tensors
        gradient = gradient.reshape(len(points), len(ctx.levels), ctx.n_features)
        table = gradient.new_zeros(ctx.n_features, ctx.n_rows)
        for part, chunk in _chunks(points):
            for index, level in enumerate(ctx.levels):
                rows, weights = _corners(chunk, level)
                scatter_(table[:, level.start : level.start + level.rows], rows, weights, gradient[part, index])
        return None, table.t().contiguous(), None


def _differentiable_lookup(points: Tensor, table: Tensor, levels: list[Level]) -> Tensor:
    """For gradients by the points as well, of any order; it stores what `_Lookup` computes anew."""
    planes = points.t()
    sizes = [level.rows for level in levels]
    features = [points.new_zeros(len(points), 0)]
    for level, part in zip(levels, table.split([*sizes, len(table) - sum(sizes)]), strict=False):
        cell, fraction = cell_and_fraction(planes, level)
        features.append(weighted_rows(part, corner_rows(cell, level), corner_weights(fraction)))
    return torch.cat(features, dim=1)


def _corners(chunk: Tensor, level: Level) -> tuple[Tensor, Tensor]:
    cell, fraction = cell_and_fraction(chunk, level)
    return corner_rows(cell, level), corner_weights(fraction)


def _chunks(points: Tensor) -> list[tuple[slice, Tensor]]:
    """Slices of the points, and their coordinates as planes [3 point]."""
    size = CHUNK["cuda" if points.is_cuda else "cpu"]
    slices = [slice(start, start + size) for start in range(0, len(points), size)]
    return [(part, points[part].t().contiguous()) for part in slices]
