"""When a cascade pays, without a mesh: novel views by the two stages, over what the Refiner is shown and how Base errs.

Base and Refiner are tellers whose errors follow what they are shown. Views are compared with the true ones at the size
of the latents, as both come out of the autoencoder: what is left is the tellers' error alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from cascade_zero123.cascade.models import LoadedModels
from cascade_zero123.cascade.stages import Cascade, Sampling, Stage
from cascade_zero123.novel_view.sampling import TargetSampling, novel_views
from cascade_zero123.training.psnr import psnr
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.model import Zero123

from studies.truth_teller.denoiser import Mind
from studies.truth_teller.errors import Errors
from studies.truth_teller.tables import LAYOUTS, STRENGTHS
from studies.truth_teller.teller import truth_teller
from studies.truth_teller.true_views import TrueViews, true_object

FOVY_DEG, DISTANCE, SIZE, ELEVATION_DEG = 49.1, 1.5, 128, 10.0
TARGETS = 16
BASE_FACTORS = (0.5, 1.0, 2.0)  # of Base's errors to the Refiner's
STEPS = 2  # of DDIM: a teller's views are those of its last one


def novel_view_table(truth: str, levels: Sequence[int], layouts: Sequence[str]) -> str:
    """Markdown: PSNR by what the Refiner is shown and how Base errs, without and with the coarse target."""
    columns = [(factor, coarse) for coarse in (False, True) for factor in BASE_FACTORS]
    titles = [f"Base x {factor:g}{', coarse' * coarse}" for factor, coarse in columns]
    lines = ["| prompt views | level | " + " | ".join(titles) + " |", "|---" * (len(titles) + 2) + "|"]
    true = TrueViews(true_object(truth), FOVY_DEG, SIZE)
    for level in levels:
        errors = Errors(shift=STRENGTHS["shift"][level - 1], colour=STRENGTHS["colour"][level - 1], follows=True)
        for layout in layouts:
            cells = [novel_view_psnr(true, errors, factor, LAYOUTS[layout], coarse) for factor, coarse in columns]
            lines.append(f"| {layout} | {level} | " + " | ".join(f"{value:.2f}" for value in cells) + " |")
    return "\n".join(lines) + "\n"


def novel_view_psnr(
    true: TrueViews, errors: Errors, base_factor: float, offsets_deg: Sequence[Sequence[float]], coarse: bool
) -> float:
    """Mean over the targets, in dB."""
    source = Cameras.one(ELEVATION_DEG, 0.0, DISTANCE)
    # Two seeds: two models do not err alike.
    base = truth_teller(Mind(true, source, scaled(errors, base_factor), seed=0))
    refiner = truth_teller(Mind(true, source, errors, seed=1))
    stage = Stage([(azimuth, elevation) for azimuth, elevation in offsets_deg], Sampling(STEPS, 1.0, 0))
    cascade = Cascade([stage, Stage([], stage.sampling)], LoadedModels([base, refiner]))
    given = Views(true.pictures(source), source)
    found = novel_views(cascade, refiner, given, target_cameras(), TargetSampling(STEPS, 1.0, 0), coarse)
    return float(psnr(through(refiner, found.views.pictures), through(refiner, true.pictures(target_cameras()))).mean())


def scaled(errors: Errors, factor: float) -> Errors:
    """So many times as strong."""
    return replace(errors, shift=factor * errors.shift, colour=factor * errors.colour)


def target_cameras() -> Cameras:
    """All around, at elevations from -10 to 60 degrees."""
    place = torch.arange(TARGETS)
    azimuth, elevation = 7.0 + place * 360.0 / TARGETS, -10.0 + 70.0 * (place * 7 % TARGETS) / TARGETS
    return Cameras(elevation, azimuth, torch.full_like(azimuth, DISTANCE))


@torch.no_grad()
def through(model: Zero123, pictures: torch.Tensor) -> torch.Tensor:
    """The autoencoder, there and back."""
    return model.decode(model.target_latents(pictures))
