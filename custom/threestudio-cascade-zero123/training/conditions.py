"""What a training batch conditions the network on: its views and poses as a `Context`, parts of it dropped at random.

Columns of a batch: source, target, context views (see batches.py).
"""

import torch
from torch import Tensor

from ..cascade.context import context_of_rows
from ..zero123.model import Context, Zero123
from ..zero123.pose import Pose
from .objective import draw_condition_dropout

Batch = dict[str, Tensor]  # images [b view channel h w] in [0, 1] and POSE_KEYS [b view]

POSE_KEYS = ("elevation_deg", "azimuth_deg", "distance")
TARGET = 1


def context_of(model: Zero123, batch: Batch) -> Context:
    """Source and context views with their poses to the target (Eq. 9-11)."""
    views = Pose(*(_shown(batch[key]).flatten() for key in POSE_KEYS))
    targets = Pose(*(batch[key][:, TARGET] for key in POSE_KEYS))
    return context_of_rows(model, _shown(batch["images"]), views, targets)


def _shown(columns: Tensor) -> Tensor:
    """All but the target's."""
    return torch.cat([columns[:, :TARGET], columns[:, TARGET + 1 :]], dim=1)


def drop_conditions(context: Context, probability: float, generator: torch.Generator) -> Context:
    """Zero, for some rows, their tokens, their latents or both, for classifier-free guidance.

    As often as Zero-1-to-3 does, and as its sampling has the unconditional pass: whole tokens are zero. Its training
    zeroes the embedding and still projects it with the pose.
    """
    no_tokens, no_latents = draw_condition_dropout(len(context.tokens), probability, generator)
    keep_tokens = (~no_tokens).float().to(context.tokens.device)[:, None, None]
    keep_latents = (~no_latents).float().to(context.tokens.device)[:, None, None, None]
    vector = None if context.vector is None else context.vector * keep_tokens[:, 0]
    return Context(context.tokens * keep_tokens, context.concat * keep_latents, vector)
