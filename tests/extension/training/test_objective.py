import pytest
import torch
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training.ema import update_ema, warmed_up_decay
from cascade_zero123.training.objective import (
    draw_condition_dropout,
    draw_timesteps,
    loss_weights,
    prediction_target,
)
from cascade_zero123.zero123.sampler import x0_and_epsilon
from diffusers import DDIMScheduler
from torch import nn


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_a_network_that_meets_its_target_tells_the_sampler_the_clean_latents_and_the_noise(prediction_type):
    scheduler = DDIMScheduler(prediction_type=prediction_type)
    latents, noise = torch.randn(2, 4, 4, 4, 4)
    timesteps = torch.tensor([10, 400, 600, 800])
    noisy = scheduler.add_noise(latents, noise, timesteps)
    target = prediction_target(scheduler, latents, noise, timesteps)
    x0, epsilon = x0_and_epsilon(target, noisy, scheduler.alphas_cumprod[timesteps], prediction_type)
    assert torch.allclose(x0, latents, atol=1e-4)
    assert torch.allclose(epsilon, noise, atol=1e-4)


def test_at_zero_terminal_snr_v_is_minus_the_clean_latents():
    scheduler = DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    latents, noise = torch.randn(2, 3, 4, 4, 4)
    assert torch.allclose(prediction_target(scheduler, latents, noise, torch.full((3,), 999)), -latents)


@pytest.mark.parametrize("limit", [1.0, 5.0, 1e6])
def test_an_error_of_x0_weighs_the_same_whatever_is_predicted(limit):
    timesteps = torch.tensor([3, 100, 400, 900])
    latents, noise, wrong = torch.randn(3, 4, 4, 4, 4)
    losses = []
    for prediction_type in ("sample", "v_prediction", "epsilon"):
        scheduler = DDIMScheduler(prediction_type=prediction_type)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        alpha_bar = scheduler.alphas_cumprod[timesteps][:, None, None, None]
        target = prediction_target(scheduler, latents, noise, timesteps)
        # What each would say that takes `latents + wrong` for the clean latents.
        wrong_noise = (noisy - alpha_bar.sqrt() * (latents + wrong)) / (1 - alpha_bar).sqrt()
        output = prediction_target(scheduler, latents + wrong, wrong_noise, timesteps)
        errors = (output - target).square().flatten(1).mean(1)
        losses.append(errors * loss_weights(scheduler, timesteps, limit))
    expected = (1 / (1 - alpha_bar.flatten())).clamp_max(limit) * wrong.square().flatten(1).mean(1)
    for loss in losses:
        assert torch.allclose(loss, expected, rtol=1e-2)


def test_at_zero_terminal_snr_x0_weighs_1_however_it_is_limited():
    for prediction_type in ("sample", "v_prediction"):
        scheduler = DDIMScheduler(rescale_betas_zero_snr=True, prediction_type=prediction_type)
        assert torch.allclose(loss_weights(scheduler, torch.tensor([999]), 5.0), torch.ones(1))


def test_timesteps_follow_the_power_law_and_the_share_of_the_last():
    timesteps = draw_timesteps(200_000, 1000, 1.0, 0.15, draw_generator(0, "test", 0))
    assert timesteps.min() >= 0 and timesteps.max() == 999
    assert abs((timesteps == 999).float().mean().item() - 0.15) < 0.01
    rest = timesteps[timesteps < 999].float()
    assert abs(rest.mean().item() - 1000 * 2 / 3) < 5


def test_condition_dropout_drops_each_alone_and_both():
    tokens, latents = draw_condition_dropout(200_000, 0.05, draw_generator(0, "test", 0))
    for share in (tokens & ~latents, latents & ~tokens, tokens & latents):
        assert abs(share.float().mean().item() - 0.05) < 0.005


def test_ema_is_equation_13():
    base, refiner = nn.Linear(3, 2), nn.Linear(3, 2)
    expected = 0.9 * base.weight.detach() + 0.1 * refiner.weight.detach()
    update_ema(base, refiner, 0.9)
    assert torch.allclose(base.weight, expected)


def test_ema_forgets_its_start_in_a_short_run():
    assert warmed_up_decay(0.9999, 0) == pytest.approx(0.1)
    assert warmed_up_decay(0.9999, 10**6) == 0.9999


def test_a_decay_of_1_freezes_base_from_the_first_step():
    base, refiner = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = base.weight.clone()
    update_ema(base, refiner, warmed_up_decay(1.0, 0))
    assert torch.equal(base.weight, before)
