"""What is looked at while training: one-step predictions of fixed objects, as scores and as a grid of pictures."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..metrics.psnr import psnr
from ..zero123.model import Zero123
from ..zero123.sampler import noise_like_latents, predict_in_one_step
from .conditions import Batch, context_of

GRID_OBJECTS = 8


@torch.no_grad()
def one_step_views(model: Zero123, batch: Batch) -> Float[Tensor, "b 3 h w"]:
    """The mean view that the model expects of each target: its x0 prediction from pure noise."""
    context = context_of(model, batch)
    noise = noise_like_latents(model, len(context.concat), seed=0, device=context.concat.device)
    return model.decode(predict_in_one_step(model, context, noise))


def validation_views(model: Zero123, batch: Batch) -> dict[str, Float[Tensor, "b 3 h w"]]:
    """By how much of its context the model is shown; the source itself is there to be compared with."""
    return {
        "copied_source": batch["images"][:, 0],
        "source_alone": one_step_views(model, _columns(batch, [0, 1])),
        "true_context": one_step_views(model, batch),  # the oracle
        "target_shown": one_step_views(model, _columns(batch, [0, 1, 1])),  # the easiest thing to read
    }


def scores(views: dict[str, Float[Tensor, "b 3 h w"]], batch: Batch) -> dict[str, Float[Tensor, ""]]:
    """Mean PSNR of each, in dB."""
    return {name: psnr(images, batch["images"][:, 1]).mean() for name, images in views.items()}


def grid(views: dict[str, Float[Tensor, "b 3 h w"]], batch: Batch) -> Float[Tensor, "3 H W"]:
    """A row for each of the first objects: the target, then the views in their order."""
    columns = [batch["images"][:, 1], *views.values()]
    rows = [torch.cat([column[row] for column in columns], dim=-1) for row in range(min(GRID_OBJECTS, len(columns[0])))]
    return torch.cat(rows, dim=-2)


def _columns(batch: Batch, columns: list[int]) -> Batch:
    return {key: value[:, columns] for key, value in batch.items()}
