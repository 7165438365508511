import pytest
import torch
from cascade_zero123.sds import loss_with_gradient, sds_gradient

ALPHA_BAR = torch.tensor([0.9, 0.2], dtype=torch.float64)


def parts():
    """Latents, noise and a prediction that agrees with the noisy latents: x_t = s x0_hat + n eps_hat."""
    latents, noise, predicted_noise = torch.randn(3, 2, 3, 2, 2, dtype=torch.float64)
    signal, sigma = ALPHA_BAR.sqrt()[:, None, None, None], (1 - ALPHA_BAR).sqrt()[:, None, None, None]
    noisy = signal * latents + sigma * noise
    return latents, noise, (noisy - sigma * predicted_noise) / signal, predicted_noise


@pytest.mark.parametrize(
    ("weighting", "weight"), [("sds", lambda a: 1 - a), ("x0", lambda a: ((1 - a) / a) ** 0.5)], ids=["sds", "x0"]
)
def test_the_gradient_on_the_latents_equals_the_weighted_noise_residual(weighting, weight):
    latents, noise, x0, predicted_noise = parts()
    latents.requires_grad_()
    gradient = sds_gradient(latents.detach(), noise, x0, predicted_noise, ALPHA_BAR, weighting)
    loss_with_gradient(latents, gradient).backward()
    for view in range(2):
        expected = weight(float(ALPHA_BAR[view])) * (predicted_noise[view] - noise[view]) / 2
        torch.testing.assert_close(latents.grad[view], expected)


def test_a_perfect_prediction_asks_for_nothing():
    latents, noise, _, _ = parts()
    for weighting in ("sds", "x0"):
        assert not sds_gradient(latents, noise, latents, noise, ALPHA_BAR, weighting).any()


def test_x0_residual_stays_finite_at_zero_terminal_snr():
    latents, noise, x0, _ = parts()
    found = sds_gradient(latents, noise, x0, noise, torch.zeros(2, dtype=torch.float64), "x0")
    torch.testing.assert_close(found, latents - x0)


def test_values_that_are_not_finite_ask_for_nothing():
    latents, noise, x0, predicted = parts()
    predicted[0, 0, 0, 0], x0[0, 0, 0, 0] = torch.nan, torch.inf
    for weighting in ("sds", "x0"):
        assert sds_gradient(latents, noise, x0, predicted, ALPHA_BAR, weighting)[0, 0, 0, 0] == 0


def test_an_unknown_weighting_is_named():
    latents, noise, x0, predicted = parts()
    with pytest.raises(ValueError, match='weighting "snr"; known are sds and x0'):
        sds_gradient(latents, noise, x0, predicted, ALPHA_BAR, "snr")
