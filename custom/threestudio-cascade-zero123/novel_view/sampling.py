"""Novel views of one picture by two DDIM stages (Sec. 3.6).

    prompt_i = Base(source, pose source -> nearby camera i),  i = 1 .. P              (Eq. 6-7; cached on disk)
    coarse_j = Base(source, pose source -> target j),  in as many steps as the prompts
    view_j   = Refiner(source, prompts, coarse_j with the zero transition)            (Eq. 8-11)

In a longer cascade the last model but one, shown what it has been shown before, is Base in the second line. The coarse
target is one more view that the Refiner is shown: it has the prompts' steps and scale, and noise of its own, as in the
Refiner's training. The noise of view j depends on (seed, j) alone and not on the chunks in which targets
go through a network. So two runs with one seed compare view by view; a cascade of one
model without coarse target is plain Zero-1-to-3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ..cascade.context import EncodedViews
from ..cascade.models import LoadedOnce
from ..cascade.stages import Bars, Cascade, Sampling, part_of_progress, silent_bars
from ..common.errors import UserError
from ..common.seeding import draw_generator
from ..views import Cameras, Views
from ..zero123.model import Zero123
from ..zero123.sampler import Progress, sample_ddim


@dataclass(frozen=True)
class TargetSampling(Sampling):
    """How novel views are sampled; `eta` is DDIM's, `chunk` the views in a network at once."""

    eta: float = 0.0
    chunk: int = 8

    def __post_init__(self) -> None:
        if self.steps < 1 or self.chunk < 1 or not 0 <= self.eta <= 1:
            raise UserError(
                f"steps {self.steps}, chunk {self.chunk}, eta {self.eta:g}: expected steps and chunk of at least 1 and "
                "eta within 0 and 1"
            )


@dataclass(frozen=True)
class Imagined:
    """What the last model is shown: the source and what the cascade added, and a coarse view of each target."""

    shown: Views
    coarse: Views | None


@dataclass(frozen=True)
class NovelViews(Imagined):
    """And what it made of that."""

    views: Views


def novel_views(
    cascade: Cascade,
    refiner: Zero123,
    given: Views,
    targets: Cameras,
    sampling: TargetSampling,
    coarse_target: bool = True,
    bars: Bars = silent_bars,
) -> NovelViews:
    """Views [target] of the object in the `given` [view], whose first is the source."""
    imagined = imagine(cascade, given, targets, sampling, coarse_target, bars)
    return refine(refiner, imagined, targets, sampling, bars)


def imagine(
    cascade: Cascade,
    given: Views,
    targets: Cameras,
    sampling: TargetSampling,
    coarse_target: bool = True,
    bars: Bars = silent_bars,
) -> Imagined:
    """The first stage. Its models are loaded once, only to sample, and not kept."""
    cascade = replace(cascade, models=LoadedOnce(cascade.models))
    shown = cascade.shown(given, bars)
    if not coarse_target:
        return Imagined(shown, None)
    index = max(len(cascade.stages) - 2, 0)
    stage = cascade.stages[index].sampling
    model = cascade.models.load(index)
    as_prompts = replace(sampling, steps=stage.steps, scale=stage.scale, eta=0.0)
    with bars("Coarse targets", network_steps(len(targets), as_prompts)) as progress, torch.no_grad():
        encoded = EncodedViews.of(model, (shown if index else given[:1])[None])
        coarse = sample_targets(model, encoded, targets, as_prompts, progress=progress, purpose="coarse target")
    return Imagined(shown, coarse.rounded())


@torch.no_grad()
def refine(
    refiner: Zero123, imagined: Imagined, targets: Cameras, sampling: TargetSampling, bars: Bars = silent_bars
) -> NovelViews:
    """The second stage."""
    encoded = EncodedViews.of(refiner, imagined.shown[None])
    with bars("Novel views", network_steps(len(targets), sampling)) as progress:
        views = sample_targets(refiner, encoded, targets, sampling, imagined.coarse, progress)
    return NovelViews(imagined.shown, imagined.coarse, views)


@torch.no_grad()
def sample_targets(
    model: Zero123,
    encoded: EncodedViews,
    targets: Cameras,
    sampling: TargetSampling,
    coarse: Views | None = None,
    progress: Progress = lambda done, total: None,
    purpose: str = "target",
) -> Views:
    """One DDIM stage, chunk by chunk; `coarse` [target] are shown beside the one row of `encoded`, `purpose` has noise
    of its own."""
    count, pictures = len(targets), []
    for first in range(0, count, sampling.chunk):
        rows = range(first, min(first + sampling.chunk, count))
        chunk = slice(rows.start, rows.stop)
        if coarse is None:
            context = encoded.context(model, targets[None, chunk])
        else:
            each = encoded.for_each(len(rows)).with_more(model, coarse[chunk, None])
            context = each.context(model, targets[chunk, None])
        step_noise = partial(view_noise, model, sampling.seed, rows, device=targets.distance.device, purpose=purpose)
        told = part_of_progress(progress, first // sampling.chunk * sampling.steps, network_steps(count, sampling))
        latents = sample_ddim(
            model, context, step_noise(0), sampling.steps, sampling.scale, told, sampling.eta, step_noise
        )
        pictures.append(model.decode(latents))
    return Views(torch.cat(pictures), targets)


def view_noise(
    model: Zero123, seed: int, views: Sequence[int], step: int, device: torch.device, purpose: str = "target"
) -> Float[Tensor, "view c h w"]:
    """The noise of some target views, drawn on the CPU: that they start from (step 0), and that step 1 .. adds."""
    draws = [torch.randn(model.latent_shape, generator=draw_generator(seed, f"{purpose} {v}", step)) for v in views]
    return torch.stack(draws).to(device)


def network_steps(views: int, sampling: TargetSampling) -> int:
    """Of one stage."""
    return math.ceil(views / sampling.chunk) * sampling.steps


def target_poses(
    poses: Sequence,
    azimuths_deg: Sequence[float],
    elevations_deg: Sequence[float],
    distance: float,
    device: torch.device | str = "cpu",
) -> Cameras:
    """`poses` ([azimuth, elevation] or [azimuth, elevation, distance]), then the rings, one for each elevation."""
    rings = [(azimuth, elevation) for elevation in elevations_deg for azimuth in azimuths_deg]
    try:
        rows = [[float(value) for value in (*pose, distance)[:3]] for pose in (*poses, *rings) if len(pose) in (2, 3)]
    except (TypeError, ValueError):
        rows = []
    if len(rows) != len(poses) + len(rings):
        raise UserError(f"poses: {list(poses)} is not a list of [azimuth_deg, elevation_deg] or with a distance")
    if not rows:
        raise UserError("no target view: give poses, or azimuths and elevations")
    azimuth, elevation, distances = torch.tensor(rows, device=device).unbind(1)
    _refuse_impossible(elevation.tolist(), distances.tolist())
    return Cameras(elevation, azimuth, distances)


def _refuse_impossible(elevations_deg: Sequence[float], distances: Sequence[float]) -> None:
    for elevation, distance in zip(elevations_deg, distances, strict=True):
        if not -90 <= elevation <= 90:
            raise UserError(f"a target view at elevation {elevation:g} deg; keep elevations within -90..90")
        if distance <= 0:
            raise UserError(f"poses: a target view at distance {distance:g}; expected more than 0")
