import numpy as np
import pytest
import torch

from threestudio.errors import UserError
from threestudio.utils.image_grid import grayscale_picture, image_grid, rgb_picture


def test_the_unit_range_becomes_eight_bits_and_the_rest_is_clipped():
    values = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])[:, None, None].expand(5, 1, 3)
    assert rgb_picture(values)[:, 0, 0].tolist() == [0, 0, 128, 255, 255]


def test_channels_first_are_accepted():
    image = torch.rand(3, 4, 5)
    assert np.array_equal(rgb_picture(image, "CHW"), rgb_picture(image.permute(1, 2, 0)))


def test_further_channels_stand_to_the_right():
    picture = rgb_picture(torch.ones(2, 2, 4))
    assert picture.shape == (2, 4, 3)
    assert picture[0].tolist() == [[255] * 3, [255] * 3, [255, 0, 0], [255, 0, 0]]


def test_a_constant_map_is_black_and_not_a_division_by_zero():
    assert not grayscale_picture(torch.full((2, 2), 3.0), cmap=None).any()


def test_jet_runs_from_blue_to_red():
    picture = grayscale_picture(torch.tensor([[0.0, 1.0]]))
    assert picture[0, 0].argmax() == 2
    assert picture[0, 1].argmax() == 0


def test_an_unknown_colour_map_is_named():
    with pytest.raises(UserError, match='unknown colour map "viridi"; known are jet, magma'):
        grayscale_picture(torch.ones(1, 1), cmap="viridi")


def test_pictures_of_different_sizes_are_scaled_to_the_largest():
    grid = image_grid(
        [{"type": "rgb", "img": torch.ones(2, 2, 3), "kwargs": {}}, {"type": "grayscale", "img": torch.ones(4, 6)}]
    )
    assert grid.shape == (4, 12, 3)


def test_rows_of_different_width_are_padded_with_white():
    one, two = {"type": "rgb", "img": torch.zeros(1, 1, 3)}, {"type": "rgb", "img": torch.zeros(1, 2, 3)}
    assert image_grid([[one], [two]]).tolist() == [[[0] * 3, [255] * 3], [[0] * 3, [0] * 3]]
