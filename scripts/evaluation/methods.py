"""The rows of a table: views of each object's target by Base, by the Refiner in each of its contexts, and controls.

    Base                                     plain Zero-1-to-3
    Refiner, source alone                    what training added beside the context
    Refiner, prompts
    Refiner, prompts and coarse target       the method
    Refiner, true nearby views (oracle)      whether the context is read at all

each as a prediction in one step (the mean over all plausible views) and as a DDIM sample, from the object's one noise.
Prompts and coarse targets are sampled by Base as in training: few steps, noise of their own, rounded to 8 bits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from cascade_zero123.cascade.context import context_of_rows
from cascade_zero123.cascade.prompt_views import NEARBY_DEG, Sampling, eight_bit
from cascade_zero123.training.rendered_views import NEARBY_VIEWS
from cascade_zero123.zero123.model import Context, Zero123
from cascade_zero123.zero123.pose import Pose
from cascade_zero123.zero123.sampler import predict_in_one_step, sample_ddim
from jaxtyping import Float
from torch import Tensor

from evaluation.held_out import Batch, prompt_poses

ONE_STEP, SAMPLE = "one step", "sample"
COPY, MEAN_OF_SAMPLES, BASE = "Source copied", "Mean of four Base samples", "Base"
SOURCE_ALONE, PROMPTS = "Refiner, source alone", "Refiner, prompts"
FULL, ORACLE = "Refiner, prompts and coarse target", "Refiner, true nearby views (oracle)"
SAMPLES_OF_MEAN = 4

Images = Float[Tensor, "b channel h w"]
Views = dict[tuple[str, str], Images]  # method and kind
Told = Callable[[int], None]  # passes of a network that an object took since the last call


@dataclass(frozen=True)
class Samplings:
    """Of the views, and of what Base samples for the Refiner."""

    views: Sampling
    prompts: Sampling


def passes(sampling: Sampling) -> int:
    """Of a network, for one view."""
    return sampling.steps * (1 if sampling.scale == 1 else 2)


def beside_source(batch: Batch, images: Float[Tensor, "b view channel h w"], poses: Pose) -> tuple[Tensor, Pose]:
    """The source, then the given views, of each object."""
    objects, views = images.shape[:2]
    joined = (
        torch.cat([own[:, None], others.view(objects, views)], dim=1).flatten()
        for own, others in zip(batch.source_pose, poses, strict=True)
    )
    return torch.cat([batch.source[:, None], images], dim=1), Pose(*joined)


@torch.no_grad()
def base_samples(base: Zero123, batch: Batch, targets: Pose, purpose: str, sampling: Sampling) -> Tensor:
    """[b view channel h w] of `targets` (b * view cameras), rounded to 8 bits."""
    views = len(targets.distance) // len(batch.numbers)
    if views == 0:
        return batch.source[:, None][:, :0]
    source = batch.source[:, None].repeat_interleave(views, dim=0)
    pose = Pose(*(value.repeat_interleave(views) for value in batch.source_pose))
    noise = batch.noise(base, purpose, views)
    images = base.decode(
        sample_ddim(base, context_of_rows(base, source, pose, targets), noise, sampling.steps, sampling.scale)
    )
    return (eight_bit(images).float() / 255).unflatten(0, (len(batch.numbers), views))


@torch.no_grad()
def both_kinds(model: Zero123, seen: Context, noise: Tensor, sampling: Sampling, told: Told) -> dict[str, Images]:
    one_step = model.decode(predict_in_one_step(model, seen, noise))
    told(1)
    each = 1 if sampling.scale == 1 else 2
    latents = sample_ddim(model, seen, noise, sampling.steps, sampling.scale, lambda done, total: told(each))
    return {ONE_STEP: one_step, SAMPLE: model.decode(latents)}


def copied_source(batch: Batch) -> Views:
    """A control, which belongs beside views of either kind."""
    return {(COPY, kind): batch.source for kind in (SAMPLE, ONE_STEP)}


@dataclass(frozen=True)
class BaseRows:
    """Base's own views; `samples` above 1 adds the mean of so many of them."""

    base: Zero123
    sampling: Sampling
    samples: int = 1

    @staticmethod
    def passes(sampling: Sampling, samples: int) -> int:
        return 1 + samples * passes(sampling)

    @torch.no_grad()
    def __call__(self, batch: Batch, told: Told) -> Views:
        batch = batch.seen_by(self.base)
        seen = context_of_rows(self.base, batch.source[:, None], batch.source_pose, batch.target_pose)
        kinds = both_kinds(self.base, seen, batch.noise(self.base, "noise"), self.sampling, told)
        views: Views = {(BASE, kind): images for kind, images in kinds.items()}
        if self.samples > 1:
            drawn = [kinds[SAMPLE]]
            for index in range(1, self.samples):
                noise = batch.noise(self.base, f"noise {index}")
                latents = sample_ddim(self.base, seen, noise, self.sampling.steps, self.sampling.scale)
                drawn.append(self.base.decode(latents))
                told(passes(self.sampling))
            mean = torch.stack(drawn).mean(0)
            views |= {(MEAN_OF_SAMPLES, kind): mean for kind in (SAMPLE, ONE_STEP)}  # a control, as above
        return views


@dataclass(frozen=True)
class ShownCascade:
    """The two networks and what the Refiner is shown; `offsets_deg` None are random prompt views."""

    base: Zero123
    refiner: Zero123
    samplings: Samplings
    offsets_deg: tuple[tuple[float, float], ...] | None
    coarse_target: bool


class RefinerRows(ShownCascade):
    """The Refiner in each context that it can have."""

    @staticmethod
    def passes(samplings: Samplings, prompts: int, contexts: int) -> int:
        return (prompts + 1) * passes(samplings.prompts) + contexts * (1 + passes(samplings.views))

    @torch.no_grad()
    def __call__(self, batch: Batch, told: Told) -> Views:
        noise, views = batch.noise(self.refiner, "noise"), Views()
        for method, (images, poses) in self.contexts(batch, batch.target_pose, told).items():
            seen = context_of_rows(self.refiner, images, poses, batch.target_pose)
            kinds = both_kinds(self.refiner, seen, noise, self.samplings.views, told)
            views |= {(method, kind): image for kind, image in kinds.items()}
        return views

    def contexts(self, batch: Batch, targets: Pose, told: Told) -> dict[str, tuple[Tensor, Pose]]:
        """Images [b view channel h w] and poses; `targets` has one camera an object."""
        batch = batch.seen_by(self.base)
        poses = prompt_poses(batch, self.offsets_deg)
        prompts = base_samples(self.base, batch, poses, "prompts", self.samplings.prompts)
        told(prompts.shape[1] * passes(self.samplings.prompts))
        shown = {
            SOURCE_ALONE: (batch.source[:, None], batch.source_pose),
            PROMPTS: beside_source(batch, prompts, poses),
        }
        if self.coarse_target:
            coarse = base_samples(self.base, batch, targets, "coarse", self.samplings.prompts)
            cameras = view_by_view(poses, targets, prompts.shape[1])
            shown[FULL] = beside_source(batch, torch.cat([prompts, coarse], dim=1), cameras)
        told(passes(self.samplings.prompts))
        columns = true_columns(self.offsets_deg)
        if columns is not None:
            shown[ORACLE] = beside_source(batch, batch.nearby[:, columns], poses)
        return shown


def true_columns(offsets_deg: tuple[tuple[float, float], ...] | None) -> list[int] | None:
    """Which of the true nearby views the prompts stand for; None where the test set lacks one."""
    if offsets_deg is None or not offsets_deg or not set(offsets_deg) <= set(NEARBY_DEG):
        return None
    return [NEARBY_VIEWS[NEARBY_DEG.index(offset)] - 1 for offset in offsets_deg]


def method_rows(offsets_deg: tuple[tuple[float, float], ...] | None, coarse_target: bool) -> list[str]:
    """The Refiner's."""
    rows = [SOURCE_ALONE, PROMPTS] + [FULL] * coarse_target
    return rows + [ORACLE] * (true_columns(offsets_deg) is not None)


def view_by_view(poses: Pose, last: Pose, views: int) -> Pose:
    """Of each object its `views` poses, then its own of `last`."""
    return Pose(
        *(
            torch.cat([of_views.view(-1, views), own[:, None]], dim=1).flatten()
            for of_views, own in zip(poses, last, strict=True)
        )
    )
