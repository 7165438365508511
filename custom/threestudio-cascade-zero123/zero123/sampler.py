"""Sampling a Zero-1-to-3: classifier-free guidance, the clean image and the noise in any prediction, DDIM.

Symbols: `noisy` is x_t = sqrt(a) x0 + sqrt(1 - a) eps with a = `alpha_bar` (the scheduler's `alphas_cumprod[t]`).
A network predicts epsilon, v = sqrt(a) eps - sqrt(1 - a) x0 (Salimans & Ho 2022), or the sample x0; all are linear in
each other, so that guiding one guides the others. At zero terminal SNR (a = 0; Lin et al. 2023) only v and the sample
can say what x0 is.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.errors import UserError
from .model import Context, Zero123

Progress = Callable[[int, int], None]
StepNoise = Callable[[int], Tensor]

MOST_STEPS = 1000  # of DDIM: as many as there are timesteps
SCALES = (0, 1000)  # of classifier-free guidance
# At eta 1 and zero terminal SNR, 1 - a - sigma^2 is 0, and rounding would leave the root of a negative number.
LARGEST_ETA = 1 - 1e-6


def guided(
    uncond: Float[Tensor, "view c h w"], cond: Float[Tensor, "view c h w"], scale: float
) -> Float[Tensor, "view c h w"]:
    """Classifier-free guidance (Ho & Salimans 2022); scale 1 is purely conditional."""
    return uncond + scale * (cond - uncond)


def x0_and_epsilon(
    output: Float[Tensor, "view c h w"],
    noisy: Float[Tensor, "view c h w"],
    alpha_bar: Float[Tensor, "view"],
    prediction_type: str,
) -> tuple[Float[Tensor, "view c h w"], Float[Tensor, "view c h w"]]:
    """What the output says the clean latents and the noise are; `noisy` = sqrt(a) x0 + sqrt(1 - a) epsilon of both."""
    signal, sigma = alpha_bar.sqrt()[:, None, None, None], (1 - alpha_bar).sqrt()[:, None, None, None]
    if prediction_type == "epsilon":
        return (noisy - sigma * output) / signal, output
    if prediction_type == "v_prediction":
        return signal * noisy - sigma * output, signal * output + sigma * noisy
    if prediction_type == "sample":
        return output, (noisy - signal * output) / sigma
    raise ValueError(f'prediction type "{prediction_type}"; known are epsilon, v_prediction and sample')


def guided_output(
    model: Zero123,
    noisy: Float[Tensor, "view c h w"],
    timestep: Int[Tensor, "view"],
    context: Context,
    scale: float,
) -> Float[Tensor, "view c h w"]:
    """The network's guided output in its own prediction type; scale 1 costs one pass a view instead of two."""
    if scale == 1:
        return model.predict(noisy, timestep, context)
    both = type(context).cat([context.unconditional(), context])
    uncond, cond = model.predict(noisy.repeat(2, 1, 1, 1), timestep.repeat(2), both).chunk(2)
    return guided(uncond, cond, scale)


@torch.no_grad()
def sample_ddim(
    model: Zero123,
    context: Context,
    noise: Float[Tensor, "view c h w"],
    steps: int,
    scale: float,
    progress: Progress | None = None,
    eta: float = 0.0,
    step_noise: StepNoise | None = None,
) -> Float[Tensor, "view c h w"]:
    """DDIM (Song et al. 2021), all views in one batch. At `eta` 0 no noise is added: `noise` alone decides the sample.

    With `eta` up to 1 (ancestral sampling), `step_noise(i)` is what step i = 1 .. `steps` adds, scaled by its sigma.
    Returns clean, scaled latents. `progress(done, total)` is called after each step.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise UserError(f"{steps} DDIM steps; expected 1 to {MOST_STEPS}")
    if eta > 0 and step_noise is None:
        raise ValueError("eta above 0 needs step_noise, so that every draw is seeded")
    eta = min(eta, LARGEST_ETA)
    scheduler = model.scheduler()
    scheduler.set_timesteps(steps, device=noise.device)
    latents = noise * scheduler.init_noise_sigma
    for done, step in enumerate(scheduler.timesteps, start=1):
        output = guided_output(model, latents, step.expand(len(latents)), context, scale)
        added = step_noise(done) if step_noise is not None and eta > 0 else None
        latents = scheduler.step(output.float(), step, latents, eta=eta, variance_noise=added).prev_sample
        if progress is not None:
            progress(done, len(scheduler.timesteps))
    return latents


@torch.no_grad()
def continue_ddim(
    model: Zero123, context: Context, noisy: Float[Tensor, "view c h w"], timestep: int, steps: int, scale: float
) -> list[Float[Tensor, "view c h w"]]:
    """The latents after each DDIM step from `timestep` to 0, in strides of a full run of `steps`."""
    scheduler = model.scheduler()
    scheduler.set_timesteps(steps, device=noisy.device)
    path = [noisy]
    for t in range(timestep, -1, -(len(scheduler.alphas_cumprod) // steps)):
        output = guided_output(model, path[-1], torch.full((len(noisy),), t, device=noisy.device), context, scale)
        path.append(scheduler.step(output.float(), t, path[-1]).prev_sample)
    return path[1:]


@torch.no_grad()
def predict_in_one_step(
    model: Zero123, context: Context, noise: Float[Tensor, "view c h w"], scale: float = 1.0
) -> Float[Tensor, "view c h w"]:
    """The clean latents that the model expects behind pure noise at the highest timestep.

    A mean over all plausible views: blurred, but with fewer wrong details than a sample.
    """
    scheduler = model.scheduler()
    timestep = torch.full((len(noise),), len(scheduler.alphas_cumprod) - 1, device=noise.device)
    alpha_bar = scheduler.alphas_cumprod.to(noise.device)[timestep]
    output = guided_output(model, noise, timestep, context, scale)
    return x0_and_epsilon(output.float(), noise, alpha_bar, scheduler.config.prediction_type)[0]


def noise_like_latents(model: Zero123, views: int, seed: int, device: torch.device) -> Float[Tensor, "view c h w"]:
    """Seeded noise, drawn on the CPU so that every device starts from the same."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((views, *model.latent_shape), generator=generator).to(device)
