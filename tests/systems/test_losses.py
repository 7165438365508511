import math

import torch

from threestudio.systems import losses


def test_distortion_equals_the_double_sum_over_pairs_of_a_ray():
    rays = torch.tensor([0, 0, 0, 2, 2])
    weights, lengths = torch.rand(2, 5, 1, dtype=torch.float64)
    middles = torch.tensor([0.1, 0.4, 0.9, 0.2, 0.3], dtype=torch.float64)[:, None]
    expected = 0.0
    for i in range(5):
        expected += float(weights[i] ** 2 * lengths[i]) / 3
        for j in range(5):
            if rays[i] == rays[j]:
                expected += float(weights[i] * weights[j] * (middles[i] - middles[j]).abs())
    found = losses.distortion_loss(weights, middles, lengths, rays, 4)
    torch.testing.assert_close(float(found), expected / 4)


def test_distortion_of_one_thin_sample_is_nearly_nothing():
    one = torch.ones(1, 1)
    assert losses.distortion_loss(one, one, 1e-3 * one, torch.zeros(1, dtype=torch.long), 1) < 1e-3


def test_entropy_is_least_for_opaque_or_empty_and_most_in_between():
    def at(value):
        return float(losses.opacity_entropy_loss(torch.full((1, 2, 2, 1), value, dtype=torch.float64)))

    assert at(0.5) > at(0.2) > at(0.0)
    assert math.isclose(at(0.5), math.log(2))
    assert at(0.0) < 0.01 and at(1.0) < 0.01


def test_depth_loss_knows_neither_scale_nor_shift():
    reference = torch.rand(50, dtype=torch.float64)
    assert losses.scaled_depth_loss(3 * reference + 2, reference) < 1e-12
    assert losses.depth_order_loss(3 * reference + 2, reference) < 1e-12
    assert abs(float(losses.depth_order_loss(-reference, reference)) - 2) < 1e-12


def test_color_loss_outside_the_mask_asks_for_the_background():
    background = torch.rand(1, 4, 4, 3)
    picture = torch.rand(1, 4, 4, 3)
    mask = torch.rand(1, 4, 4, 1) > 0.5
    wanted = torch.where(mask, picture, background)
    assert losses.masked_color_loss(wanted, background, picture, mask) == 0
    assert losses.masked_color_loss(picture, background, picture, mask) > 0


def test_normals_that_face_the_camera_cost_nothing():
    direction = torch.tensor([[0.0, 0.0, -1.0]])
    facing, away = -direction, direction
    weights, opacity = torch.ones(1, 1), torch.ones(1, 1, 1, 1)
    assert losses.orientation_loss(weights, facing, direction, opacity) == 0
    assert losses.orientation_loss(weights, away, direction, opacity) == 1


def test_a_flat_image_is_smooth():
    assert losses.smoothness_loss(torch.full((2, 4, 4, 3), 0.3)) == 0
    step = torch.zeros(1, 2, 2, 1)
    step[:, 1] = 1
    assert losses.smoothness_loss(step) == 1


def test_sparsity_grows_with_covered_area():
    empty, half = torch.zeros(1, 2, 2, 1), torch.zeros(1, 2, 2, 1)
    half[:, 0] = 1
    assert losses.sparsity_loss(half) > losses.sparsity_loss(empty)
