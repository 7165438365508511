"""Self-prompting: Base-0123 imagines the source from fixed nearby cameras, once (Eq. 6-7).

    prompt_i ~ Base(source, pose source -> nearby camera i),  i = 1 .. P, all from the same source picture

sampled by DDIM in one batch. The views are rounded to 8 bits before use, so that cached ones are the very same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

import threestudio

from ..errors import UserError
from ..zero123.model import Zero123
from ..zero123.pose import Pose
from ..zero123.sampler import Progress, noise_like_latents, sample_ddim
from .cache import ViewCache, cache_key
from .context import Cascade, beside

NEARBY_DEG = ((45.0, 0.0), (-45.0, 0.0), (0.0, 30.0))  # [azimuth, elevation] from the source (Sec. 4.2)


@dataclass(frozen=True)
class PromptViews:
    """Images as the models see them (zero123/white.py) and the cameras that they claim to be seen from."""

    images: Float[Tensor, "view channel h w"]
    poses: Pose
    labels: list[str]

    def save(self, folder: str | Path) -> list[Path]:
        """One PNG a view, its colours on white, named by its offset from the source."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{index}_{label.replace(' ', '_')}.png" for index, label in enumerate(self.labels)]
        for path, image in zip(paths, eight_bit(self.images), strict=True):
            # An export reads them back: none may be half written.
            unfinished = path.with_name(f".{path.name}.part")
            Image.fromarray(image[:3].permute(1, 2, 0).cpu().numpy()).save(unfinished, format="PNG")
            unfinished.replace(path)
        return paths


@dataclass(frozen=True)
class Sampling:
    """How the prompt views are sampled: DDIM steps, guidance scale, seed of the noise."""

    steps: int
    scale: float
    seed: int


def angle_pairs(key: str, given: Sequence) -> list[tuple[float, float]]:
    """[azimuth, elevation] offsets in degrees, as a config gives them."""
    try:
        return [(float(azimuth), float(elevation)) for azimuth, elevation in given]
    except (TypeError, ValueError):
        raise UserError(f"{key}: {given} is not a list of [azimuth_deg, elevation_deg]") from None


def prompt_views(
    load_base: Callable[[], Zero123],
    fingerprint: str,
    source: Float[Tensor, "1 channel h w"],
    pose: Pose,
    offsets_deg: list[tuple[float, float]],
    sampling: Sampling,
    cache: ViewCache,
    progress: Progress | None = None,
) -> PromptViews:
    """From the cache, else sampled; `load_base` is called, and so Base takes memory, only to sample.

    `fingerprint` tells one Base's weights from another's; `source` is as the model sees it.
    """
    poses = beside(pose, offsets_deg)
    _refuse_cameras_over_the_pole(poses, offsets_deg)
    labels = [view_label(*offset) for offset in offsets_deg]
    if not offsets_deg:
        return PromptViews(source[:0], poses, labels)
    key = cache_key(
        eight_bit(source),
        weights=fingerprint,
        camera=_numbers(pose),
        offsets_deg=[list(map(float, offset)) for offset in offsets_deg],
        sampling=vars(sampling),
    )
    views = _load(cache, key, (len(labels), *source.shape[1:]))
    if views is None:
        views = eight_bit(sample_views(load_base(), source, pose, poses, sampling, progress))
        _store(cache, key, views)
    return PromptViews(views.to(source.device, source.dtype) / 255, poses, labels)


@torch.no_grad()
def sample_views(
    model: Zero123,
    source: Float[Tensor, "1 channel h w"],
    pose: Pose,
    targets: Pose,
    sampling: Sampling,
    progress: Progress | None = None,
) -> Float[Tensor, "view channel h w"]:
    """Plain Zero-1-to-3 (Eq. 2-4): the source alone as context, all targets in one batch; images in [0, 1]."""
    context = Cascade.of(model, source, pose).context(model, targets)
    noise = noise_like_latents(model, len(targets.distance), sampling.seed, source.device)
    return model.decode(sample_ddim(model, context, noise, sampling.steps, sampling.scale, progress)).clamp(0, 1)


def view_label(azimuth_deg: float, elevation_deg: float) -> str:
    """`azimuth +45`, `elevation +30`, or both; `source` for no offset."""
    parts = [f"{name} {value:+g}" for name, value in (("azimuth", azimuth_deg), ("elevation", elevation_deg)) if value]
    return " ".join(parts) or "source"


def eight_bit(images: Float[Tensor, "*view channel h w"]) -> UInt8[Tensor, "*view channel h w"]:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def _refuse_cameras_over_the_pole(poses: Pose, offsets_deg: list[tuple[float, float]]) -> None:
    for elevation, (azimuth_offset, elevation_offset) in zip(poses.elevation_deg.tolist(), offsets_deg, strict=True):
        if abs(elevation) > 90:
            raise UserError(
                f"prompt_views: [{azimuth_offset:g}, {elevation_offset:g}] leads to elevation {elevation:g} "
                "deg; keep the source's elevation plus the offset within -90..90"
            )


def _load(cache: ViewCache, key: str, shape: tuple[int, ...]) -> UInt8[Tensor, "view channel h w"] | None:
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


def _store(cache: ViewCache, key: str, views: UInt8[Tensor, "view channel h w"]) -> None:
    try:
        cache.store(key, views)
    except OSError as error:
        threestudio.warn(f"Prompt views not cached ({error}); the next run samples them again")


def _numbers(pose: Pose) -> list[float]:
    return torch.cat(pose).double().cpu().tolist()
