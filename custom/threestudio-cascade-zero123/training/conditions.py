"""What a training batch conditions the network on: its views and poses as a `Context`, parts of it dropped at random.

Columns of a batch: source, target, context views (see batches.py).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..zero123.model import Context, Zero123
from ..zero123.pose import Pose, pose_token
from .objective import draw_condition_dropout

Batch = dict[str, Tensor]  # images [b view 3 h w] in [0, 1] and POSE_KEYS [b view]

POSE_KEYS = ("elevation_deg", "azimuth_deg", "distance")


def context_of(model: Zero123, batch: Batch) -> Context:
    """Source and context views with their poses to the target (Eq. 9-11)."""
    images = torch.cat([batch["images"][:, :1], batch["images"][:, 2:]], dim=1)
    poses = torch.cat([_tokens(model, batch, slice(0, 1)), _tokens(model, batch, slice(2, None))], dim=1)
    embeddings = model.image_embedding(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    return model.context(embeddings.flatten(1, 2), poses, model.source_latents(images[:, 0]))


def _tokens(model: Zero123, batch: Batch, columns: slice) -> Float[Tensor, "b view 4"]:
    """Pose tokens from the given views to the target (Eq. 8)."""
    rows, count = batch["azimuth_deg"][:, columns].shape
    views = Pose(*(batch[key][:, columns].flatten() for key in POSE_KEYS))
    target = Pose(*(batch[key][:, 1].repeat_interleave(count) for key in POSE_KEYS))
    return pose_token(target, views, model.settings.pose_token).unflatten(0, (rows, count))


def drop_conditions(context: Context, probability: float, generator: torch.Generator) -> Context:
    """Zero, for some rows, their tokens, their latents or both, as Zero-1-to-3 does for classifier-free guidance."""
    no_tokens, no_latents = draw_condition_dropout(len(context.tokens), probability, generator)
    keep_tokens = (~no_tokens).float().to(context.tokens.device)[:, None, None]
    keep_latents = (~no_latents).float().to(context.tokens.device)[:, None, None, None]
    vector = None if context.vector is None else context.vector * keep_tokens[:, 0]
    return Context(context.tokens * keep_tokens, context.concat * keep_latents, vector)
