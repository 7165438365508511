import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from studies.metrics import ssim


def pictures(size: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(2, 3, size, size, dtype=torch.float64)
    return (0.7 * truth + 0.3 * torch.rand_like(truth)), truth


def slow_map(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM of one channel by its definition, window by window, mirrored beyond the border."""
    offset = np.arange(-5, 6)
    weight = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    padded_x, padded_y = np.pad(x, 5, mode="reflect"), np.pad(y, 5, mode="reflect")
    result = np.empty_like(x)
    for row, column in np.ndindex(x.shape):
        a, b = (p[row : row + 11, column : column + 11] for p in (padded_x, padded_y))
        mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
        var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
        covariance = (weight * (a - mean_a) * (b - mean_b)).sum()
        top = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
        result[row, column] = top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
    return result


def test_ssim_is_its_definition_averaged_over_pixels_and_channels():
    images, truth = pictures()
    slow = [
        np.mean([slow_map(x, y) for x, y in zip(*pair, strict=True)])
        for pair in zip(images.numpy(), truth.numpy(), strict=True)
    ]
    assert ssim(images, truth).tolist() == pytest.approx(slow, abs=1e-9)


def test_away_from_the_border_it_is_what_scikit_image_says():
    """Which differs at the border: it mirrors the edge pixel too, and leaves the border out of its mean."""
    images, truth = pictures()
    channel = images[0, 0].numpy(), truth[0, 0].numpy()
    settings = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert slow_map(*channel)[5:-5, 5:-5].mean() == pytest.approx(structural_similarity(*channel, **settings), abs=1e-9)


def test_equal_pictures_score_1_view_by_view():
    images, truth = pictures()
    images[1] = truth[1]
    first, second = ssim(images, truth).tolist()
    assert second == pytest.approx(1.0) and first < 0.99
