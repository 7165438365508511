import pytest
import torch
from cascade_zero123.training.psnr import LARGEST_DB, psnr


def test_of_a_constant_error_it_is_its_level_in_decibel():
    white = torch.ones(2, 3, 4, 4)
    errors = torch.tensor([0.1, 0.01])[:, None, None, None]
    assert psnr(white - errors, white).tolist() == pytest.approx([20.0, 40.0], abs=1e-4)


def test_of_equal_pictures_it_is_finite():
    assert psnr(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).item() == pytest.approx(LARGEST_DB)
