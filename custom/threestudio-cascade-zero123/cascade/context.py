"""What the Refiner is shown: one token a view, and the latents of the source (Eq. 8-11).

    token_i = cc_projection([embedding of view i, pose i -> target])                    (Eq. 8: poses subtract)
    tokens  = [source, self-prompted view 1 .. P, (coarse target, zero transition)]     (Eq. 9-11: along the token axis)

The channel-concatenated latents, and the class vector of models that have one, are those of the source alone: with no
further view this is plain Zero-1-to-3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..zero123.model import Context, Zero123
from ..zero123.pose import Pose, pose_token


def transitions(views: Pose, targets: Pose, token: str = "zero123") -> Float[Tensor, "target token 4"]:
    """Eq. 8: from each view to each target; [0, 0, 1, 0] (the zero transition) where they are the same."""
    count, tokens = len(targets.distance), len(views.distance)
    target = Pose(*(value.repeat_interleave(tokens) for value in targets))
    view = Pose(*(value.repeat(count) for value in views))
    return pose_token(target, view, token).reshape(count, tokens, 4)


@dataclass(frozen=True)
class Cascade:
    """The views of one object, encoded once; the first is the source."""

    embeddings: Float[Tensor, "1 token dim"]
    poses: Pose
    source_latents: Float[Tensor, "1 c h w"]

    @classmethod
    @torch.no_grad()
    def of(cls, model: Zero123, images: Float[Tensor, "token channel h w"], poses: Pose) -> "Cascade":
        """`images` in [0, 1]: the source and then, for a cascade, its self-prompted views."""
        return cls(model.image_embedding(images).flatten(0, 1)[None], poses, model.source_latents(images[:1]))

    def context(
        self, model: Zero123, targets: Pose, coarse: Float[Tensor, "target token dim"] | None = None
    ) -> Context:
        """Eq. 9-11 for each target; `coarse` are embeddings of coarse predictions of the targets themselves."""
        views = len(targets.distance)
        embeddings = self.embeddings.expand(views, -1, -1)
        token = model.settings.pose_token
        poses = transitions(self.poses, targets, token)
        if coarse is not None:
            embeddings = torch.cat([embeddings, coarse], dim=1)
            poses = torch.cat([poses, pose_token(targets, targets, token)[:, None]], dim=1)
        return model.context(embeddings, poses, self.source_latents.expand(views, -1, -1, -1))


def context_of_rows(
    model: Zero123, images: Float[Tensor, "row view channel h w"], views: Pose, targets: Pose
) -> Context:
    """Eq. 9-11 for a row of views each, the first of which is the row's source; images in [0, 1].

    `views` has row * view cameras, row by row; `targets` one a row.
    """
    rows, count = images.shape[:2]
    embeddings = model.image_embedding(images.flatten(0, 1)).unflatten(0, (rows, count)).flatten(1, 2)
    each = Pose(*(value.repeat_interleave(count) for value in targets))
    poses = pose_token(each, views, model.settings.pose_token).unflatten(0, (rows, count))
    return model.context(embeddings, poses, model.source_latents(images[:, 0]))


def joined(*poses: Pose) -> Pose:
    return Pose(*(torch.cat(values) for values in zip(*poses, strict=True)))


def beside(pose: Pose, offsets_deg: list[tuple[float, float]]) -> Pose:
    """One camera for each [azimuth, elevation] offset in degrees from the single camera `pose`, at its distance."""
    azimuth, elevation = pose.azimuth_deg.new_tensor(offsets_deg).reshape(-1, 2).unbind(-1)
    return Pose(pose.elevation_deg + elevation, pose.azimuth_deg + azimuth, pose.distance.expand(len(azimuth)))
