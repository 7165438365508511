"""What a model is shown: one token a view, and the latents of the source (Eq. 8-11).

    token_i = cc_projection([embedding of view i, pose i -> target])                    (Eq. 8: poses subtract)
    tokens  = [source, self-prompted view 1 .. P, (coarse target, zero transition)]     (Eq. 9-11: along the token axis)

The channel-concatenated latents, and the class vector of models that have one, are those of the source alone: with no
further view this is plain Zero-1-to-3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..views import Cameras, Views
from ..zero123.model import Context, Zero123
from ..zero123.pose import pose_token


def transitions(views: Cameras, targets: Cameras, token: str = "zero123") -> Float[Tensor, "row target view 4"]:
    """Eq. 8: from each view of a row to each of its targets; the zero transition [0, 0, 1, 0] where they are the same.

    Both are [row ..].
    """
    (rows, count), seen = targets.shape, views.shape[1]
    target = targets.reshape(rows * count).repeat_each(seen)
    view = views.repeat_each(count).reshape(rows * count * seen)
    return pose_token(target, view, token).reshape(rows, count, seen, 4)


@dataclass(frozen=True)
class EncodedViews:
    """Rows of views as one model reads them, encoded once; the first view of a row is its source."""

    embeddings: Float[Tensor, "row view token dim"]
    cameras: Cameras  # [row view]
    source_latents: Float[Tensor, "row c h w"]

    @classmethod
    def of(cls, model: Zero123, views: Views) -> "EncodedViews":
        """`views` is [row view]."""
        return cls(_embeddings(model, views), views.cameras, model.source_latents(views.pictures[:, 0]))

    def with_more(self, model: Zero123, views: Views) -> "EncodedViews":
        """And further views [row view], after those of each row."""
        embeddings = torch.cat([self.embeddings, _embeddings(model, views)], dim=1)
        return EncodedViews(embeddings, Cameras.join([self.cameras, views.cameras], dim=1), self.source_latents)

    def for_each(self, count: int) -> "EncodedViews":
        """Each row so many times."""
        embeddings, latents = (
            values.repeat_interleave(count, dim=0) for values in (self.embeddings, self.source_latents)
        )
        return EncodedViews(embeddings, self.cameras.repeat_each(count), latents)

    def context(self, model: Zero123, targets: Cameras) -> Context:
        """Eq. 9-11 for the targets [row target] of each row, row by row."""
        poses = transitions(self.cameras, targets, model.settings.pose_token)
        each = self.for_each(targets.shape[1])
        return model.context(each.embeddings.flatten(1, 2), poses.flatten(0, 1), each.source_latents)


def _embeddings(model: Zero123, views: Views) -> Float[Tensor, "row view token dim"]:
    return model.image_embedding(views.pictures.flatten(0, 1)).unflatten(0, tuple(views.shape))
