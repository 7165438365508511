import torch

from threestudio.models.geometry.base import BaseExplicitGeometry, contract_to_unisphere

BOX = torch.tensor([[-2.0] * 3, [2.0] * 3])


def test_the_box_becomes_the_unit_cube():
    points = torch.tensor([[-2.0, 0.0, 2.0], [1.0, -1.0, 0.5]])
    torch.testing.assert_close(contract_to_unisphere(points, BOX), points / 4.0 + 0.5)


def test_unbounded_space_fits_the_unit_cube_and_its_ball_keeps_half_the_scale():
    far = torch.tensor([[1e6, 0.0, 0.0], [0.0, -1e6, 0.0]])
    torch.testing.assert_close(
        contract_to_unisphere(far, BOX, unbounded=True), torch.tensor([[1.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    )
    near = torch.tensor([[1.0, -0.5, 0.0]])
    torch.testing.assert_close(contract_to_unisphere(near, BOX, unbounded=True), near / 8.0 + 0.5)


def test_contraction_is_continuous_at_the_ball_and_leaves_its_input():
    direction = torch.tensor([0.6, 0.0, 0.8])
    around = torch.stack([direction * 1.999, direction * 2.001])
    given = around.clone()
    inside, outside = contract_to_unisphere(around, BOX, unbounded=True)
    assert (inside - outside).norm() < 1e-3
    torch.testing.assert_close(around, given)


def test_an_explicit_geometry_has_its_box():
    torch.testing.assert_close(BaseExplicitGeometry({"radius": 2.0}).bbox, BOX)
