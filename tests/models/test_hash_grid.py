"""The hash grid against a slow reference that goes point by point, level by level, corner by corner, in float64."""

import itertools
import math

import pytest
import torch

from threestudio.errors import UserError
from threestudio.models.encodings import get_encoding
from threestudio.models.encodings.grid_levels import HASH_FACTORS, grid_levels
from threestudio.models.encodings.hash_grid import HashGrid

# Two dense levels, two hashed ones.
CONFIG = {
    "otype": "HashGrid",
    "n_levels": 4,
    "n_features_per_level": 2,
    "log2_hashmap_size": 10,
    "base_resolution": 5,
    "per_level_scale": 1.6,
}


def grid(**changes):
    module = HashGrid(3, {**CONFIG, **changes}).double()
    torch.nn.init.normal_(module.table)
    return module


def row_of(vertex, level):
    if level.dense:
        x, y, z = vertex
        return (x + level.vertices * y + level.vertices**2 * z) % level.rows
    index = 0
    for coordinate, factor in zip(vertex, HASH_FACTORS, strict=True):
        index ^= (coordinate * factor) % 2**32
    return index % level.rows


def slow_lookup(point, module):
    features = []
    for level in module.levels:
        position = [coordinate * level.scale + 0.5 for coordinate in point]
        cell = [math.floor(coordinate) for coordinate in position]
        total = torch.zeros(module.n_features_per_level, dtype=torch.float64)
        for corner in itertools.product((0, 1), repeat=3):
            weight = 1.0
            for coordinate, low, high in zip(position, cell, corner, strict=True):
                weight *= coordinate - low if high else 1.0 - (coordinate - low)
            vertex = [low + high for low, high in zip(cell, corner, strict=True)]
            total = total + weight * module.table[level.start + row_of(vertex, level)]
        features.append(total)
    return torch.cat(features)


def test_some_levels_are_dense_and_some_are_hashed():
    assert {level.dense for level in grid().levels} == {True, False}


def test_values_and_table_gradient_equal_the_slow_reference():
    module, points = grid(), torch.rand(20, 3, dtype=torch.float64)
    fast, slow = module(points), torch.stack([slow_lookup(point.tolist(), module) for point in points])
    torch.testing.assert_close(fast, slow)
    upstream = torch.randn_like(fast)
    torch.testing.assert_close(
        torch.autograd.grad(fast, module.table, upstream), torch.autograd.grad(slow, module.table, upstream)
    )


def test_the_corners_of_the_cube_equal_the_slow_reference():
    module = grid()
    points = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
    torch.testing.assert_close(module(points), torch.stack([slow_lookup(p.tolist(), module) for p in points]))


def test_the_differentiable_path_gives_the_same_features():
    module, points = grid(), torch.rand(50, 3, dtype=torch.float64)
    torch.testing.assert_close(module(points.clone().requires_grad_()), module(points))


def small_grid_and_points():
    module = grid(n_levels=2, log2_hashmap_size=4, base_resolution=2)
    points = (0.1 + 0.8 * torch.rand(3, 3, dtype=torch.float64)).requires_grad_()
    table = module.table.detach().clone().requires_grad_()
    return (lambda points, table: torch.func.functional_call(module, {"table": table}, (points,))), points, table


def test_gradients_by_points_and_table():
    lookup, points, table = small_grid_and_points()
    assert torch.autograd.gradcheck(lookup, (points, table))


def test_the_slope_along_the_points_can_be_differentiated_by_the_table():
    lookup, points, table = small_grid_and_points()
    direction = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def slope(table, direction):
        return torch.autograd.grad(lookup(points, table), points, direction, create_graph=True)[0]

    assert torch.autograd.gradcheck(slope, (table, direction))


def test_points_pass_in_chunks_without_a_difference(monkeypatch):
    module, points = grid(), torch.rand(50, 3, dtype=torch.float64)
    whole = module(points)
    gradient = torch.autograd.grad(whole.square().sum(), module.table)
    monkeypatch.setattr("threestudio.models.encodings.hash_grid.CHUNK", {"cpu": 7})
    torch.testing.assert_close(module(points), whole)
    torch.testing.assert_close(torch.autograd.grad(module(points).square().sum(), module.table), gradient)


def test_corners_that_are_not_kept_give_the_same_gradient(monkeypatch):
    module, points = grid(), torch.rand(50, 3, dtype=torch.float64)
    kept = torch.autograd.grad(module(points).square().sum(), module.table)
    monkeypatch.setattr("threestudio.models.encodings.hash_grid.KEPT_BYTES", 0)
    assert torch.equal(torch.autograd.grad(module(points).square().sum(), module.table)[0], kept[0])


def test_no_points_give_no_features_and_a_zero_gradient():
    module = grid()
    features = module(torch.zeros(0, 3, dtype=torch.float64))
    assert features.shape == (0, 8)
    assert not torch.autograd.grad(features.sum(), module.table)[0].any()


def test_points_outside_the_cube_count_as_on_its_faces():
    module = grid()
    outside = torch.tensor([[1.3, -0.2, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(module(outside), module(outside.clamp(0, 1)))


def test_the_table_has_the_size_that_tiny_cuda_nn_gives_upstreams_setting():
    levels = grid_levels(16, 19, 16, 1.447269237440378)
    assert levels[0].rows == 16**3
    assert levels[-1].rows == 2**19
    assert round(levels[-1].scale) == 4095
    assert all(level.rows % 8 == 0 for level in levels)


def test_initial_features_lie_within_1e_4():
    table = HashGrid(3, CONFIG).table
    assert 0.5e-4 < table.abs().max() <= 1e-4


def test_progressive_levels_open_one_by_one():
    config = {**CONFIG, "otype": "ProgressiveBandHashGrid", "start_level": 1, "start_step": 10, "update_steps": 5}
    encoding = get_encoding(3, config)
    torch.nn.init.normal_(encoding.encoding.encoding.table)
    points = torch.rand(9, 3)

    def open_features(step):
        encoding.do_update_step(0, step)
        return int((encoding(points) != 0).any(dim=0).sum())

    assert [open_features(step) for step in (0, 10, 14, 15, 20, 1000)] == [2, 2, 2, 4, 6, 8]


def test_include_xyz_puts_the_coordinates_first():
    encoding = get_encoding(3, {**CONFIG, "include_xyz": True})
    points = torch.rand(4, 3)
    assert encoding(points).shape == (4, encoding.n_output_dims)
    torch.testing.assert_close(encoding(points)[:, :3], 2 * points - 1)


def test_an_unknown_encoding_is_refused_by_name():
    with pytest.raises(UserError, match="unknown encoding Frequency; supported are HashGrid"):
        get_encoding(3, {"otype": "Frequency"})
