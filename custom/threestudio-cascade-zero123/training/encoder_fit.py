"""An image encoder for a model that starts from random weights: what CLIP's training is to the published ones.

Learned with the U-Net from nothing, the encoder dies. The source's latents are in the U-Net's input anyway, the other
views cannot be read yet, so nothing asks the embedding for the picture and the U-Net learns to silence it; tokens are
then poses alone, and cross-attention has nothing to read. So the encoder is fitted first, to what can be seen: the
embedding tells a thumbnail of its picture, and each patch's token the latents of that patch and where it is, by linear
maps that are thrown away. Then it is left as it is, as Zero-1-to-3 leaves CLIP.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..zero123.model import Zero123
from ..zero123.sampler import Progress

THUMBNAIL = 8  # pixels a side
PLACES = 32  # numbers that say where a patch is
LEARNING_RATE = 1e-3


def fit_image_encoder(
    model: Zero123,
    images: Callable[[int], Float[Tensor, "view channel h w"]],
    steps: int,
    progress: Progress | None = None,
) -> None:
    """Trains `model.image_encoder` in place; `images(step)` are pictures as it sees them, `model.vae` is fitted.

    Embeddings come out with a mean variance of 1, so that pose and picture are equally loud in a token.
    """
    encoder = model.image_encoder
    sizes: Any = encoder.config
    patches = (sizes.image_size // sizes.patch_size) ** 2
    latents = model.latent_shape[0] * model.latent_shape[1] * model.latent_shape[2]
    width = encoder.config.projection_dim
    device = next(encoder.parameters()).device
    thumbnail = nn.Linear(width, encoder.config.num_channels * THUMBNAIL**2, device=device)
    patch = nn.Linear(width, latents // patches + PLACES, device=device)
    places = places_of_patches(round(patches**0.5)).to(device)
    trained = [parameter.requires_grad for parameter in encoder.parameters()]
    encoder.requires_grad_(True)
    parameters = [p for part in (encoder, thumbnail, patch) for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1, pct_start=0.05)
    for step in range(steps):
        views = images(step).to(device)
        tokens = model.tokens_of_image(views)
        loss = F.mse_loss(thumbnail(tokens[:, 0]), thumbnails(views[:, : encoder.config.num_channels])) + F.mse_loss(
            patch(tokens[:, 1:]),
            torch.cat([latents_of_patches(model, views, patches), places.expand(len(views), -1, -1)], dim=-1),
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, steps)
    with torch.no_grad():
        encoder.visual_projection.weight /= model.tokens_of_image(images(steps).to(device)).var(0).mean().sqrt()
    for parameter, wanted in zip(encoder.parameters(), trained, strict=True):
        parameter.requires_grad_(wanted)


def thumbnails(images: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view c"]:
    """Means of 8 by 8 cells, in [-1, 1]."""
    return 2.0 * F.interpolate(images, (THUMBNAIL, THUMBNAIL), mode="area").flatten(1) - 1.0


@torch.no_grad()
def latents_of_patches(
    model: Zero123, images: Float[Tensor, "view channel h w"], patches: int
) -> Float[Tensor, "view patch c"]:
    """The latents that lie in each of the encoder's patches, row by row."""
    latents = model.target_latents(images)
    cell = round((latents.shape[-1] * latents.shape[-2] / patches) ** 0.5)
    return F.unfold(latents, cell, stride=cell).transpose(1, 2)


def places_of_patches(side: int) -> Float[Tensor, "patch c"]:
    """Which row and which column, one-hot up to a linear map: cosines of all frequencies, with unit variance."""
    cosines = torch.cos(torch.pi * (torch.arange(side)[:, None] + 0.5) * torch.arange(1, side) / side) * 2**0.5
    row = cosines[:, None, :].expand(-1, side, -1).flatten(0, 1)
    column = cosines[None, :, :].expand(side, -1, -1).flatten(0, 1)
    both = torch.cat([row, column], dim=1)
    return both.repeat(1, -(-PLACES // both.shape[1]))[:, :PLACES]
