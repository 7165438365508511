"""Rings of views of one object by one model: Base, the cascade and the oracle, in one step and sampled.

Prompts are sampled once, a coarse target for each view. The noise of view i depends on (seed, object, i) alone, and is
the same for every method.
"""

from collections.abc import Iterator

import torch
from cascade_zero123.cascade.context import context_of_rows
from cascade_zero123.zero123.pose import Pose
from jaxtyping import Float
from torch import Tensor

from evaluation.held_out import Batch, prompt_poses
from evaluation.methods import (
    BASE,
    FULL,
    ORACLE,
    PROMPTS,
    ShownCascade,
    base_samples,
    beside_source,
    both_kinds,
    true_columns,
    view_by_view,
)

Images = Float[Tensor, "view channel h w"]


def ring_methods(offsets_deg: tuple[tuple[float, float], ...] | None, coarse_target: bool) -> list[str]:
    """The cascade's is the method itself: what the model was trained for."""
    return [BASE, FULL if coarse_target else PROMPTS] + [ORACLE] * (true_columns(offsets_deg) is not None)


def ring_poses(batch: Batch, views: int) -> Pose:
    """At the elevation and distance of the one object's source, evenly all around; the first is the source's own."""
    elevation, azimuth, distance = batch.source_pose
    around = torch.arange(views, device=azimuth.device) * 360.0 / views
    return Pose(elevation.expand(views), azimuth + around, distance.expand(views))


class RingSamples(ShownCascade):
    def __call__(self, batch: Batch, targets: Pose) -> Iterator[tuple[str, str, Images]]:
        """Method, kind and ring, of the one object in `batch`."""
        noise = batch.noise(self.base, "ring", len(targets.distance))
        for method, (images, poses) in self.contexts(batch, targets).items():
            model = self.base if method == BASE else self.refiner
            with torch.no_grad():
                seen = context_of_rows(model, images, poses, targets)
            for kind, ring in both_kinds(model, seen, noise, self.samplings.views, lambda passes: None).items():
                yield method, kind, ring

    @torch.no_grad()
    def contexts(self, batch: Batch, targets: Pose) -> dict[str, tuple[Float[Tensor, "view shown channel h w"], Pose]]:
        """What is shown for each target, and from where."""
        batch = batch.seen_by(self.base)
        count, each = len(targets.distance), repeated(batch, len(targets.distance))
        poses = prompt_poses(batch, self.offsets_deg)
        of_each = Pose(*(value.repeat(count) for value in poses))
        prompts = base_samples(self.base, batch, poses, "prompts", self.samplings.prompts)
        prompts = prompts.expand(count, -1, -1, -1, -1)
        shown = {BASE: (each.source[:, None], each.source_pose)}
        if self.coarse_target:
            coarse = base_samples(self.base, batch, targets, "ring coarse", self.samplings.prompts).transpose(0, 1)
            cameras = view_by_view(of_each, targets, prompts.shape[1])
            shown[FULL] = beside_source(each, torch.cat([prompts, coarse], dim=1), cameras)
        else:
            shown[PROMPTS] = beside_source(each, prompts, of_each)
        columns = true_columns(self.offsets_deg)
        if columns is not None:
            shown[ORACLE] = beside_source(each, each.nearby[:, columns], of_each)
        return shown


def repeated(batch: Batch, count: int) -> Batch:
    """The one object so many times."""

    def poses(pose: Pose) -> Pose:
        return Pose(*(value.expand(count) for value in pose))

    return Batch(
        batch.numbers * count,
        batch.targets * count,
        batch.source.expand(count, -1, -1, -1),
        poses(batch.source_pose),
        batch.nearby.expand(count, -1, -1, -1, -1),
        poses(batch.target_pose),
        batch.truth.expand(count, -1, -1, -1),
        batch.seed,
    )
