"""Sums over the eight corners of grid cells: where a hash grid spends its time.

Everything is one trilinear form, T = sum_ic weights[i, c] <table[rows[i, c]], values[i]>. Its derivatives by `values`,
`table` and `weights` are the three functions below, and each one's derivatives are the other two; so all of them can be
differentiated any number of times (analytic normals need twice).
"""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function


def weighted_rows(
    table: Float[Tensor, "row feature"], rows: Int[Tensor, "point 8"], weights: Float[Tensor, "point 8"]
) -> Float[Tensor, "point feature"]:
    """dT/dvalues: the interpolated features."""
    return _WeightedRows.apply(table, rows, weights)


def scattered_rows(
    rows: Int[Tensor, "point 8"], weights: Float[Tensor, "point 8"], values: Float[Tensor, "point feature"], n_rows: int
) -> Float[Tensor, "row feature"]:
    """dT/dtable."""
    return _ScatteredRows.apply(rows, weights, values, n_rows)


def row_products(
    table: Float[Tensor, "row feature"], rows: Int[Tensor, "point 8"], values: Float[Tensor, "point feature"]
) -> Float[Tensor, "point 8"]:
    """dT/dweights."""
    return _RowProducts.apply(table, rows, values)


def gather(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """`weighted_rows` without a graph. One fused kernel: no corner's features are ever stored."""
    return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")


def scatter_(table: Tensor, rows: Tensor, weights: Tensor, values: Tensor) -> None:
    """Adds `scattered_rows` to `table` [feature row]; a feature at a time, as 1-D scatters are the fast ones."""
    flat_rows = rows.reshape(-1).long()
    for feature, column in zip(table, values.t(), strict=True):
        feature.scatter_add_(0, flat_rows, (weights * column[:, None]).reshape(-1))


class _WeightedRows(Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(table, rows, weights)
        return gather(table, rows, weights)

    @staticmethod
    def backward(ctx: Any, values: Tensor) -> tuple[Tensor | None, ...]:
        table, rows, weights = ctx.saved_tensors
        by_table, _, by_weights = ctx.needs_input_grad
        return (
            scattered_rows(rows, weights, values, len(table)) if by_table else None,
            None,
            row_products(table, rows, values) if by_weights else None,
        )


class _ScatteredRows(Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weights: Tensor, values: Tensor, n_rows: int) -> Tensor:
        ctx.save_for_backward(rows, weights, values)
        table = values.new_zeros(values.shape[1], n_rows)
        scatter_(table, rows, weights, values)
        return table.t().contiguous()

    @staticmethod
    def backward(ctx: Any, table: Tensor) -> tuple[Tensor | None, ...]:
        rows, weights, values = ctx.saved_tensors
        _, by_weights, by_values, _ = ctx.needs_input_grad
        return (
            None,
            row_products(table, rows, values) if by_weights else None,
            weighted_rows(table, rows, weights) if by_values else None,
            None,
        )


class _RowProducts(Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(table, rows, values)
        products = values.new_zeros(rows.shape)
        for column, feature in zip(table.t(), values.t(), strict=True):
            products += column.contiguous().take(rows.long()) * feature[:, None]
        return products

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        table, rows, values = ctx.saved_tensors
        by_table, _, by_values = ctx.needs_input_grad
        return (
            scattered_rows(rows, weights, values, len(table)) if by_table else None,
            None,
            weighted_rows(table, rows, weights) if by_values else None,
        )
