"""Sums over the eight corners of grid cells, forward and backward: where a hash grid spends its time."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def gather(
    table: Float[Tensor, "row feature"], rows: Int[Tensor, "point 8"], weights: Float[Tensor, "point 8"]
) -> Float[Tensor, "point feature"]:
    """sum_c weights[i, c] table[rows[i, c]], by one fused kernel: no corner's features are ever stored."""
    return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")


def scatter_add_(
    gradient: Float[Tensor, "feature row"],
    rows: Int[Tensor, "point 8"],
    weights: list[Float[Tensor, "point 8"]],
    values: Float[Tensor, "point feature weighting"],
) -> None:
    """Adds the table's gradient for `gather` with each of the weights, where `values` is the gradient of their results.

    A feature at a time, because 1-D scatters are the fast ones; all weightings in one scatter.
    """
    flat_rows = rows.reshape(-1).long()
    for feature, columns in enumerate(values.unbind(1)):
        total = weights[0] * columns[:, :1]
        for index, more in enumerate(weights[1:], start=1):
            total.addcmul_(more, columns[:, index : index + 1])
        gradient[feature].scatter_add_(0, flat_rows, total.reshape(-1))
