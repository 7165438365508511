"""Pictures of one SDS step, under the names by which upstream's systems save them."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .views import Cameras
from .zero123.model import Context, Zero123
from .zero123.sampler import continue_ddim, x0_and_epsilon


@torch.no_grad()
def pictures_of_step(
    model: Zero123,
    noisy: Float[Tensor, "view c h w"],
    output: Float[Tensor, "view c h w"],
    timestep: Int[Tensor, "view"],
    context: Context,
    cameras: Cameras,
    scale: float,
    steps: int = 50,
) -> dict[str, Any]:
    """Noisy, one DDIM step on, denoised at once and fully sampled; images [view h w 3] in [0, 1].

    `output` is the guided prediction of the step; `context` may hold more views, of which the first are meant.
    """
    scheduler = model.scheduler()
    alphas_bar = scheduler.alphas_cumprod.to(noisy.device)
    x0, _ = x0_and_epsilon(output, noisy, alphas_bar[timestep], scheduler.config.prediction_type)
    one_step, final = [], []
    for view, t in enumerate(timestep.tolist()):
        path = continue_ddim(model, _one_view(context, view), noisy[view : view + 1], t, steps, scale)
        one_step.append(path[0])
        final.append(path[-1])
    levels = (timestep / len(alphas_bar)).tolist()
    return {
        "bs": len(noisy),
        "noise_levels": levels,
        "texts": [
            f"t {level:.2f}\nelevation {elevation:.1f}\nazimuth {azimuth:.1f}\ndistance {distance:.2f}"
            for level, elevation, azimuth, distance in zip(levels, *cameras.as_tensor().tolist(), strict=True)
        ],
        "imgs_noisy": _images(model, noisy),
        "imgs_1step": _images(model, torch.cat(one_step)),
        "imgs_1orig": _images(model, x0),
        "imgs_final": _images(model, torch.cat(final)),
    }


def _one_view(context: Context, view: int) -> Context:
    own = slice(view, view + 1)
    return Context(context.tokens[own], context.concat[own], None if context.vector is None else context.vector[own])


def _images(model: Zero123, latents: Float[Tensor, "view c h w"]) -> Float[Tensor, "view H W 3"]:
    return model.decode(latents)[:, :3].permute(0, 2, 3, 1)
