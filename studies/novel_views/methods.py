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
from cascade_zero123.cascade.context import EncodedViews
from cascade_zero123.cascade.stages import NEARBY_DEG, Sampling, sample_views
from cascade_zero123.training.rendered_views import NEARBY_VIEWS
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.model import Context, Zero123
from cascade_zero123.zero123.sampler import predict_in_one_step, sample_ddim
from jaxtyping import Float
from torch import Tensor

from studies.novel_views.held_out import Batch, prompt_cameras

ONE_STEP, SAMPLE = "one step", "sample"
COPY, MEAN_OF_SAMPLES, BASE = "Source copied", "Mean of four Base samples", "Base"
SOURCE_ALONE, PROMPTS = "Refiner, source alone", "Refiner, prompts"
FULL, ORACLE = "Refiner, prompts and coarse target", "Refiner, true nearby views (oracle)"
SAMPLES_OF_MEAN = 4

Images = Float[Tensor, "b _ h w"]
Made = dict[tuple[str, str], Images]  # method and kind
Told = Callable[[int], None]  # passes of a network that an object took since the last call


@dataclass(frozen=True)
class Samplings:
    """Of the views, and of what Base samples for the Refiner."""

    views: Sampling
    prompts: Sampling


def passes(sampling: Sampling) -> int:
    """Of a network, for one view."""
    return sampling.steps * (1 if sampling.scale == 1 else 2)


@torch.no_grad()
def base_samples(base: Zero123, batch: Batch, at: Cameras, purpose: str, sampling: Sampling) -> Views:
    """[object view], rounded to 8 bits."""
    noise = batch.noise(base, purpose, at.shape[1])
    return sample_views(base, batch.source, at, noise, sampling).rounded()


@torch.no_grad()
def both_kinds(model: Zero123, seen: Context, noise: Tensor, sampling: Sampling, told: Told) -> dict[str, Images]:
    one_step = model.decode(predict_in_one_step(model, seen, noise))
    told(1)
    each = 1 if sampling.scale == 1 else 2
    latents = sample_ddim(model, seen, noise, sampling.steps, sampling.scale, lambda done, total: told(each))
    return {ONE_STEP: one_step, SAMPLE: model.decode(latents)}


def copied_source(batch: Batch) -> Made:
    """A control, which belongs beside views of either kind."""
    return {(COPY, kind): batch.source.pictures[:, 0] for kind in (SAMPLE, ONE_STEP)}


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
    def __call__(self, batch: Batch, told: Told) -> Made:
        batch = batch.seen_by(self.base)
        seen = EncodedViews.of(self.base, batch.source).context(self.base, batch.target.cameras)
        kinds = both_kinds(self.base, seen, batch.noise(self.base, "noise"), self.sampling, told)
        views: Made = {(BASE, kind): images for kind, images in kinds.items()}
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
    def __call__(self, batch: Batch, told: Told) -> Made:
        noise, views, at = batch.noise(self.refiner, "noise"), Made(), batch.target.cameras
        for method, shown in self.contexts(batch, at, told).items():
            seen = EncodedViews.of(self.refiner, shown).context(self.refiner, at)
            kinds = both_kinds(self.refiner, seen, noise, self.samplings.views, told)
            views |= {(method, kind): image for kind, image in kinds.items()}
        return views

    def contexts(self, batch: Batch, targets: Cameras, told: Told) -> dict[str, Views]:
        """[object view]; `targets` has one camera an object, [object 1]."""
        batch = batch.seen_by(self.base)
        at = prompt_cameras(batch, self.offsets_deg)
        prompts = base_samples(self.base, batch, at, "prompts", self.samplings.prompts)
        told(prompts.shape[1] * passes(self.samplings.prompts))
        shown = {SOURCE_ALONE: batch.source, PROMPTS: Views.join([batch.source, prompts], dim=1)}
        if self.coarse_target:
            coarse = base_samples(self.base, batch, targets, "coarse", self.samplings.prompts)
            shown[FULL] = Views.join([shown[PROMPTS], coarse], dim=1)
        told(passes(self.samplings.prompts))
        columns = true_columns(self.offsets_deg)
        if columns is not None:
            shown[ORACLE] = Views.join([batch.source, Views(batch.nearby.pictures[:, columns], at)], dim=1)
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
