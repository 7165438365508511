"""What is looked at while training: one-step predictions of fixed objects, as scores and as a grid of pictures.

In training Base, Base is looked at; in training a Refiner, the Refiner. Names are those in the logs, `val/psnr_<name>`;
`val/psnr` is that of the model as it is used: Base with the source alone, a Refiner with what Base samples for it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..views import COLORS, Views
from ..zero123.model import Zero123
from ..zero123.sampler import noise_like_latents, predict_in_one_step
from .conditions import context_of
from .prompts import PromptsConfig, with_prompts
from .psnr import psnr

GRID_OBJECTS = 8
SOURCE_AND_TARGET, TARGET = slice(0, 2), slice(1, 2)  # columns; then comes context


@torch.no_grad()
def one_step_views(model: Zero123, batch: Views) -> Float[Tensor, "b channel h w"]:
    """The mean view that the model expects of each target: its x0 prediction from pure noise."""
    context = context_of(model, batch)
    noise = noise_like_latents(model, len(context.concat), seed=0, device=context.concat.device)
    return model.decode(predict_in_one_step(model, context, noise))


def base_views(base: Zero123, batch: Views) -> dict[str, Float[Tensor, "b channel h w"]]:
    """By how much of its context it is shown; the source itself is there to be compared with."""
    pair = batch[:, SOURCE_AND_TARGET]
    return {
        "copied_source": batch.pictures[:, 0],
        "source_alone": one_step_views(base, pair),
        "true_context": one_step_views(base, batch),  # the oracle
        "target_shown": one_step_views(base, Views.join([pair, batch[:, TARGET]], dim=1)),  # the easiest thing to read
    }


def refiner_views(
    refiner: Zero123, base: Zero123, batch: Views, cfg: PromptsConfig, generator: torch.Generator
) -> dict[str, Float[Tensor, "b channel h w"]]:
    """By what it is shown beside the source: nothing, Base's prompt views and coarse target, or true nearby views."""
    pair = batch[:, SOURCE_AND_TARGET]
    prompted = with_prompts(base, pair, cfg, generator).to(batch.pictures.device)
    return {
        "copied_source": batch.pictures[:, 0],
        "base": one_step_views(base, pair),  # which the Refiner is to surpass
        "source_alone": one_step_views(refiner, pair),
        "prompts": one_step_views(refiner, prompted),
        "true_context": one_step_views(refiner, batch),  # the oracle
    }


def scores(views: dict[str, Float[Tensor, "b channel h w"]], batch: Views) -> dict[str, Float[Tensor, ""]]:
    """Mean PSNR of each on white, in dB."""
    truth = batch.colors[:, 1]
    return {name: psnr(images[:, :COLORS], truth).mean() for name, images in views.items()}


def grid(views: dict[str, Float[Tensor, "b channel h w"]], batch: Views) -> Float[Tensor, "3 H W"]:
    """A row for each of the first objects: the target, then the views in their order."""
    columns = [images[:, :COLORS] for images in (batch.pictures[:, 1], *views.values())]
    rows = [torch.cat([column[row] for column in columns], dim=-1) for row in range(min(GRID_OBJECTS, len(columns[0])))]
    return torch.cat(rows, dim=-2)
