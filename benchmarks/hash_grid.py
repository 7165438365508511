"""The hash grid's forward and backward pass against the plain way: a gather and a sum for each level and corner.

python benchmarks/hash_grid.py [points] [threads]
"""

import itertools
import sys
import time

import torch
from torch import nn

from threestudio.models.encodings.grid_levels import HASH_FACTORS
from threestudio.models.encodings.hash_grid import HashGrid

CONFIG = {"n_levels": 10, "log2_hashmap_size": 15, "base_resolution": 16, "per_level_scale": 1.32}
REPEATS = 5


class PlainHashGrid(nn.Module):
    """The same function from the same table; autograd finds the gradient."""

    def __init__(self, grid: HashGrid) -> None:
        super().__init__()
        self.levels, self.table = grid.levels, nn.Parameter(grid.table.detach().clone())

    def forward(self, points):
        return torch.cat([self.level_features(points, level) for level in self.levels], dim=1)

    def level_features(self, points, level):
        position = points * level.scale + 0.5
        cell = position.floor().long()
        fraction = position - cell
        total = 0.0
        for corner in itertools.product((0, 1), repeat=3):
            high = torch.tensor(corner, dtype=torch.bool)
            weight = torch.where(high, fraction, 1.0 - fraction).prod(dim=1, keepdim=True)
            total = total + weight * self.table[level.start + self.rows(cell + high, level)]
        return total

    def rows(self, vertex, level):
        x, y, z = vertex.unbind(1)
        if level.dense:
            return (x + level.vertices * y + level.vertices**2 * z) % level.rows
        hashed = x * HASH_FACTORS[0] ^ y * HASH_FACTORS[1] ^ z * HASH_FACTORS[2]
        return hashed % level.rows


def seconds(module, points):
    """The fastest of some repeats: forward, backward."""
    best = [float("inf")] * 2
    for _ in range(REPEATS):
        start = time.perf_counter()
        features = module(points)
        middle = time.perf_counter()
        features.backward(torch.ones_like(features))
        best = [min(best[0], middle - start), min(best[1], time.perf_counter() - middle)]
    return best


def main(n_points: int = 100_000, threads: int = 2) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    grid = HashGrid(3, CONFIG)
    plain = PlainHashGrid(grid)
    points = torch.rand(n_points, 3)
    torch.testing.assert_close(grid(points), plain(points), atol=1e-7, rtol=1e-3)
    ours, theirs = seconds(grid, points), seconds(plain, points)
    with_slopes = seconds(grid, points.clone().requires_grad_())
    print(f"{n_points} points, {len(grid.levels)} levels, {threads} threads; forward + backward in ms")
    for name, (forward, backward) in [("plain", theirs), ("ours", ours), ("ours, with slopes", with_slopes)]:
        print(f"  {name:20s}{1e3 * forward:8.1f} + {1e3 * backward:8.1f}")
    print(f"ratio plain / ours: {sum(theirs) / sum(ours):.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
