"""What a training batch conditions the network on: its views as a `Context`, parts of it dropped at random.

A batch is [row view]; its columns are source, target, context views (see batches.py).
"""

import torch

from ..cascade.context import EncodedViews
from ..views import Views
from ..zero123.model import Context, Zero123
from .objective import draw_condition_dropout

TARGET = 1


def context_of(model: Zero123, batch: Views) -> Context:
    """Source and context views as seen from the target (Eq. 9-11)."""
    shown = Views.join([batch[:, :TARGET], batch[:, TARGET + 1 :]], dim=1)
    return EncodedViews.of(model, shown).context(model, batch.cameras[:, TARGET : TARGET + 1])


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
