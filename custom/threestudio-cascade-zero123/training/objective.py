"""The training objective of both models as pure functions (Eq. 12; DDPM, Ho et al. 2020; v: Salimans & Ho 2022)."""

import torch
from diffusers import DDIMScheduler
from jaxtyping import Bool, Float, Int
from torch import Tensor


def draw_timesteps(
    count: int,
    num_train_timesteps: int,
    high_noise_power: float,
    last_step_probability: float,
    generator: torch.Generator,
) -> Int[Tensor, "view"]:
    """Timesteps with density proportional to `t ** high_noise_power` (0 is uniform), and some exactly the last.

    One-step views and the warm start live at the very last timestep, and SDS at high noise.
    """
    uniform = torch.rand(count, generator=generator)
    timesteps = (num_train_timesteps * uniform ** (1.0 / (1.0 + high_noise_power))).long()
    timesteps = timesteps.clamp_max(num_train_timesteps - 1)
    last = torch.rand(count, generator=generator) < last_step_probability
    return torch.where(last, num_train_timesteps - 1, timesteps)


def prediction_target(
    scheduler: DDIMScheduler,
    latents: Float[Tensor, "view c h w"],
    noise: Float[Tensor, "view c h w"],
    timesteps: Int[Tensor, "view"],
) -> Float[Tensor, "view c h w"]:
    """What the network is asked for, by the scheduler's prediction type."""
    if scheduler.config.prediction_type == "epsilon":
        return noise
    if scheduler.config.prediction_type == "v_prediction":
        return scheduler.get_velocity(latents, noise, timesteps)
    return latents


def loss_weights(
    scheduler: DDIMScheduler, timesteps: Int[Tensor, "view"], max_snr_weight: float
) -> Float[Tensor, "view"]:
    """Of the squared error of what the network predicts, so that an error of x0 counts min(SNR + 1, `max_snr_weight`).

    SNR + 1 is the loss on v (Salimans & Ho 2022), 1 the loss on x0; between them it is truncated as in min-SNR (Hang
    et al. 2023), but not to nothing at zero SNR.
    """
    alpha_bar = scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
    of_v = 1 / (1 - alpha_bar).clamp_min(1e-8)
    wanted = of_v.clamp_max(max_snr_weight)
    if scheduler.config.prediction_type == "sample":
        return wanted
    if scheduler.config.prediction_type == "v_prediction":
        return wanted / of_v
    return wanted / (of_v * alpha_bar.clamp_min(1e-8))


def draw_condition_dropout(
    count: int, probability: float, generator: torch.Generator
) -> tuple[Bool[Tensor, "view"], Bool[Tensor, "view"]]:
    """Which samples lose their tokens and which their concatenated latents.

    Each of (tokens alone, latents alone, both) happens with `probability`, as often as in Zero-1-to-3's training.
    """
    draw = torch.rand(count, generator=generator)
    tokens = draw < 2.0 * probability
    latents = (draw >= probability) & (draw < 3.0 * probability)
    return tokens, latents
