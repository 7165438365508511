"""Novel views of one picture by two DDIM stages (Sec. 3.6).

    prompt_i = Base(source, pose source -> nearby camera i),  i = 1 .. P              (Eq. 6-7; cached on disk)
    coarse_j = Base(source, pose source -> target j),  in as many steps as the prompts
    view_j   = Refiner(source, prompts, coarse_j with the zero transition)            (Eq. 8-11)

The coarse target is one more view that Base shows the Refiner: it has the prompts' steps and scale, and noise of its
own, as in the Refiner's training. The noise of view j depends on (seed, j) alone and not on the chunks in which targets
go through a network. So two runs with one seed compare view by view; without prompts and coarse target, and with Base
in the Refiner's place, this is plain Zero-1-to-3. Images are in [0, 1].
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from .cascade.cache import ViewCache
from .cascade.context import Cascade, joined
from .cascade.prompt_views import NEARBY_DEG, PromptViews, Sampling, eight_bit, prompt_views
from .cascade.source import as_model_sees
from .errors import UserError
from .seeding import draw_generator
from .zero123.model import Zero123
from .zero123.pose import Pose
from .zero123.sampler import Progress, sample_ddim

Bars = Callable[[str, int], AbstractContextManager[Progress]]  # a stage's name and its network steps


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
class Prompting:
    """Base's self-prompted views, at [azimuth, elevation] offsets from the source in degrees; none is the baseline."""

    offsets_deg: Sequence[tuple[float, float]] = NEARBY_DEG
    sampling: Sampling = Sampling(steps=25, scale=3.0, seed=0)  # steps and scale also of the coarse targets
    cache: ViewCache = ViewCache(None)
    fingerprint: str = ""  # of Base's weights; only matters with a cache


@dataclass(frozen=True)
class BaseViews:
    """What the first stage leaves for the second."""

    source: Float[Tensor, "1 channel h w"]
    pose: Pose
    prompts: PromptViews
    coarse: Float[Tensor, "view channel h w"] | None


@dataclass(frozen=True)
class NovelViews:
    base: BaseViews
    images: Float[Tensor, "view channel h w"]
    poses: Pose


def novel_views(
    base: Zero123,
    refiner: Zero123,
    rgba: Float[Tensor, "ih iw 4"],
    pose: Pose,
    targets: Pose,
    sampling: TargetSampling,
    prompting: Prompting,
    coarse_target: bool = True,
    bars: Bars | None = None,
) -> NovelViews:
    """Both stages, for the object of `rgba` (straight alpha, prepared) that the single camera `pose` sees."""
    size = refiner.settings.image_size
    if base.settings.image_size != size:
        raise UserError(f"Base makes {base.settings.image_size} px views and the Refiner {size} px; take one size")
    source = as_model_sees(rgba.to(pose.distance.device), size, refiner.channels)
    first = base_stage(lambda: base, source, pose, targets, sampling, prompting, coarse_target, bars)
    return refiner_stage(refiner, first, targets, sampling, bars)


@torch.no_grad()
def base_stage(
    load_base: Callable[[], Zero123],
    source: Float[Tensor, "1 channel h w"],
    pose: Pose,
    targets: Pose,
    sampling: TargetSampling,
    prompting: Prompting,
    coarse_target: bool = True,
    bars: Bars | None = None,
) -> BaseViews:
    """Prompt views and coarse targets. Base is loaded once, only to sample, and not kept."""
    bars, loaded_once = bars or silent_bars, cache(load_base)
    with bars("Self-prompting", prompting.sampling.steps) as progress:
        prompts = prompt_views(
            loaded_once,
            prompting.fingerprint,
            source,
            pose,
            list(prompting.offsets_deg),
            prompting.sampling,
            prompting.cache,
            progress,
        )
    if not coarse_target:
        return BaseViews(source, pose, prompts, None)
    base = loaded_once()
    shown = replace(sampling, steps=prompting.sampling.steps, scale=prompting.sampling.scale, eta=0.0)
    with bars("Coarse targets", network_steps(len(targets.distance), shown)) as progress:
        cascade = Cascade.of(base, source, pose)
        coarse = sample_targets(base, cascade, targets, shown, progress=progress, purpose="coarse target")
    return BaseViews(source, pose, prompts, eight_bit(coarse).float() / 255.0)


@torch.no_grad()
def refiner_stage(
    refiner: Zero123, base: BaseViews, targets: Pose, sampling: TargetSampling, bars: Bars | None = None
) -> NovelViews:
    bars = bars or silent_bars
    shown = torch.cat([base.source, base.prompts.images])
    cascade = Cascade.of(refiner, shown, joined(base.pose, base.prompts.poses))
    with bars("Novel views", network_steps(len(targets.distance), sampling)) as progress:
        images = sample_targets(refiner, cascade, targets, sampling, base.coarse, progress)
    return NovelViews(base, images, targets)


@torch.no_grad()
def sample_targets(
    model: Zero123,
    cascade: Cascade,
    targets: Pose,
    sampling: TargetSampling,
    coarse: Float[Tensor, "view channel h w"] | None = None,
    progress: Progress | None = None,
    purpose: str = "target",
) -> Float[Tensor, "view channel h w"]:
    """One DDIM stage, chunk by chunk; `coarse` are shown at the targets' own poses, `purpose` has noise of its own."""
    count, views = len(targets.distance), []
    for first in range(0, count, sampling.chunk):
        rows = range(first, min(first + sampling.chunk, count))
        chunk = slice(rows.start, rows.stop)
        embeddings = None if coarse is None else model.image_embedding(coarse[chunk])
        context = cascade.context(model, Pose(*(value[chunk] for value in targets)), embeddings)
        step_noise = partial(view_noise, model, sampling.seed, rows, device=targets.distance.device, purpose=purpose)
        told = _later(progress, first // sampling.chunk * sampling.steps, network_steps(count, sampling))
        latents = sample_ddim(
            model, context, step_noise(0), sampling.steps, sampling.scale, told, sampling.eta, step_noise
        )
        views.append(model.decode(latents))
    return torch.cat(views)


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
) -> Pose:
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
    _refuse_impossible(elevation.tolist())
    return Pose(elevation, azimuth, distances)


def _refuse_impossible(elevations_deg: Sequence[float]) -> None:
    for elevation in elevations_deg:
        if not -90 <= elevation <= 90:
            raise UserError(f"a target view at elevation {elevation:g} deg; keep elevations within -90..90")


@contextmanager
def silent_bars(name: str, total: int) -> Iterator[Progress]:
    yield lambda done, total: None


@contextmanager
def console_bars(name: str, total: int, disable: bool | None = None) -> Iterator[Progress]:
    """With the time left; by default on terminals only."""
    with tqdm(total=total, desc=name, unit="step", leave=False, disable=disable) as bar:

        def advance(done: int, _: int) -> None:
            bar.update(done - bar.n)

        yield advance


def _later(progress: Progress | None, before: int, total: int) -> Progress | None:
    """The progress of a part, told as that of the whole."""
    return None if progress is None else lambda done, _: progress(before + done, total)
