"""The cascade: a list of Zero-1-to-3 models, each of which is shown views and adds its own (Eq. 6-7).

    stage 1 (Base)      views_1 ~ p(. | source)                                    self-prompting
    stage 2, 3, ..      views_n ~ p(. | source, further pictures, views before)    (Sec. A.5)
    the last (Refiner)  is shown all of them, at whatever camera it is asked for   (Eq. 8-11, context.py)

A view at the camera of an earlier one takes its place. Views are rounded to 8 bits before use, so that cached ones are
the very same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from tqdm import tqdm

import threestudio

from ..common.errors import UserError
from ..views import Cameras, Views, eight_bit
from ..zero123.model import Zero123
from ..zero123.sampler import Progress, noise_like_latents, sample_ddim
from .cache import ViewCache, cache_key
from .context import EncodedViews
from .models import Models

NEARBY_DEG = ((45.0, 0.0), (-45.0, 0.0), (0.0, 30.0))  # [azimuth, elevation] from the source (Sec. 4.2)
SAME_CAMERA = 1e-3  # degrees and world units

Bars = Callable[[str, int], AbstractContextManager[Progress]]  # a stage's name and its network steps


@dataclass(frozen=True)
class Sampling:
    """How views are sampled: DDIM steps, guidance scale, seed of the noise."""

    steps: int
    scale: float
    seed: int


@dataclass(frozen=True)
class Stage:
    """The views that one model of the cascade adds, at [azimuth, elevation] offsets from the source in degrees.

    With `chain` each is sampled with those before it as context, else all in one batch.
    """

    offsets_deg: Sequence[tuple[float, float]] = NEARBY_DEG
    sampling: Sampling = Sampling(steps=25, scale=3.0, seed=0)
    chain: bool = False

    def __call__(
        self, model: Zero123, shown: Views, at: Cameras, progress: Progress = lambda done, total: None
    ) -> Views:
        """Views [target] at these cameras, by a model that is shown views [view] of which the first is the source."""
        noise = noise_like_latents(model, len(at), self.sampling.seed, at.distance.device)
        count, parts = len(shown), [slice(place, place + 1) for place in range(len(at))]
        for place, part in enumerate(parts if self.chain else [slice(len(at))]):
            told = part_of_progress(progress, place * self.sampling.steps, self.network_steps)
            new = sample_views(model, shown[None], at[part][None], noise[part], self.sampling, told)[0]
            shown = Views.join([shown, new.rounded()])
        return shown[count:]

    @property
    def network_steps(self) -> int:
        """One after the other."""
        return self.sampling.steps * (len(self.offsets_deg) if self.chain else 1)


@contextmanager
def silent_bars(name: str, total: int) -> Iterator[Progress]:
    """Shows no progress."""
    yield lambda done, total: None


@contextmanager
def console_bars(name: str, total: int, disable: bool | None = None) -> Iterator[Progress]:
    """With the time left; by default on terminals only."""
    with tqdm(total=total, desc=name, unit="step", leave=False, disable=disable) as bar:

        def advance(done: int, _: int) -> None:
            bar.update(done - bar.n)

        yield advance


@dataclass(frozen=True)
class Cascade:
    """Stages, their models, and where the views that they add are kept; the last stage adds none of its own."""

    stages: Sequence[Stage]
    models: Models
    cache: ViewCache = ViewCache(None)

    def shown(self, given: Views, bars: Bars = silent_bars) -> Views:
        """All that the last model is shown: the `given` (the source and further pictures), then what was added.

        The first model is shown the source alone, as Zero-1-to-3 is; those after it all that there is so far.
        """
        shown = given
        for index, stage in enumerate(self.stages[:-1]):
            seen = shown if index else given[:1]
            shown = with_newer(shown, len(given), self._added(index, stage, seen, given, bars))
        return shown

    def _added(self, index: int, stage: Stage, seen: Views, given: Views, bars: Bars) -> Views:
        """From the cache, else sampled: a model is loaded, and so takes memory, only for that."""
        at = given[:1].cameras.beside(stage.offsets_deg)
        refuse_cameras_over_the_pole(at, stage.offsets_deg)
        wanted = ~same_camera(at, given.cameras).any(dim=1)  # what a picture shows, nobody has to imagine
        offsets, at = [pair for pair, add in zip(stage.offsets_deg, wanted.tolist(), strict=True) if add], at[wanted]
        if not len(at):
            return Views(seen.pictures[:0], at)
        key = self._key(index, stage, seen, offsets)
        pictures = load_views(self.cache, key, (len(at), *seen.pictures.shape[1:]))
        if pictures is not None:
            return Views(pictures.to(seen.pictures.device, seen.pictures.dtype) / 255, at)
        with bars(f"Self-prompting {index + 1}" if index else "Self-prompting", stage.network_steps) as progress:
            views = stage(self.models.load(index), seen, at, progress)
        store_views(self.cache, key, eight_bit(views.pictures))
        return views

    def _key(self, index: int, stage: Stage, seen: Views, offsets_deg: Sequence[tuple[float, float]]) -> str:
        return cache_key(
            eight_bit(seen.pictures),
            weights=self.models.fingerprint(index),
            camera=seen.cameras.as_tensor().flatten().double().cpu().tolist(),
            offsets_deg=[list(map(float, offset)) for offset in offsets_deg],
            sampling=vars(stage.sampling),
            **({"chain": True} if stage.chain else {}),
        )


@torch.no_grad()
def sample_views(
    model: Zero123,
    shown: Views,
    at: Cameras,
    noise: Float[Tensor, "sample c h w"],
    sampling: Sampling,
    progress: Progress | None = None,
) -> Views:
    """Views [row target] at the cameras of each row, all in one batch; `shown` is [row view], the source first.

    With one view shown this is plain Zero-1-to-3 (Eq. 2-4).
    """
    if not at.distance.numel():
        return Views(shown.pictures[:, :0], at)
    context = EncodedViews.of(model, shown).context(model, at)
    pictures = model.decode(sample_ddim(model, context, noise, sampling.steps, sampling.scale, progress))
    return Views(pictures.unflatten(0, at.shape), at)


def with_newer(shown: Views, given: int, new: Views) -> Views:
    """A model's view takes the place of an earlier model's from the same camera; the first `given` stay."""
    older = ~same_camera(shown.cameras, new.cameras).any(dim=1)
    older[:given] = True
    return Views.join([shown[older], new])


def same_camera(one: Cameras, other: Cameras) -> Bool[Tensor, "one other"]:
    """Whether cameras stand in the same place."""
    apart = one.as_tensor()[:, :, None] - other.as_tensor()[:, None, :]
    elevation, azimuth, distance = apart.abs().unbind(0)
    azimuth = torch.minimum(azimuth % 360, 360 - azimuth % 360)
    return (elevation < SAME_CAMERA) & (azimuth < SAME_CAMERA) & (distance < SAME_CAMERA)


def part_of_progress(progress: Progress, before: int, total: int) -> Progress:
    """The progress of a part, told as that of the whole."""
    return lambda done, _: progress(before + done, total)


def angle_pairs(key: str, given: Sequence[Any]) -> list[tuple[float, float]]:
    """[azimuth, elevation] offsets in degrees, as a config gives them."""
    try:
        return [(float(azimuth), float(elevation)) for azimuth, elevation in given]
    except (TypeError, ValueError):
        raise UserError(f"{key}: {given} is not a list of [azimuth_deg, elevation_deg]") from None


def refuse_cameras_over_the_pole(at: Cameras, offsets_deg: Sequence[tuple[float, float]]) -> None:
    """Raises UserError, naming the offset."""
    for elevation, (azimuth_offset, elevation_offset) in zip(at.elevation_deg.tolist(), offsets_deg, strict=True):
        if abs(elevation) > 90:
            raise UserError(
                f"prompt_views: [{azimuth_offset:g}, {elevation_offset:g}] leads to elevation {elevation:g} "
                "deg; keep the source's elevation plus the offset within -90..90"
            )


def load_views(cache: ViewCache, key: str, shape: tuple[int, ...]) -> UInt8[Tensor, "view channel h w"] | None:
    """None where there are none, or damaged ones, which is said."""
    try:
        views = cache.load(key)
        if views is not None and tuple(views.shape) != shape:
            raise ValueError(f"{cache.path(key)}: {tuple(views.shape)} found, {shape} expected")
    except ValueError as error:
        threestudio.warn(f"{error}; sampling the prompt views again")
        return None
    if views is not None:
        threestudio.info(f"Prompt views taken from the cache, nothing sampled: {cache.path(key)}")
    return views


def store_views(cache: ViewCache, key: str, views: UInt8[Tensor, "view channel h w"]) -> None:
    """A cache that cannot be written is no reason to stop."""
    try:
        cache.store(key, views)
    except OSError as error:
        threestudio.warn(f"Prompt views not cached ({error}); the next run samples them again")
