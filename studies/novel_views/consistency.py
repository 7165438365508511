"""Whether sampled views show one and the same object: rings of views, a field fitted to each, what the fit leaves over.

    python scripts/evaluate.py consistency VIEWS_DIR --model NAME=FOLDER [--model NAME=FOLDER ...]
        [--objects 20] [--views 16] [--out consistency]

Of each object one DDIM sample in each of `--views` directions around it, at the source's elevation: by Base, by the
cascade (prompts sampled once an object, a coarse target for each view) and by the oracle, the Refiner with true nearby
views. Reprojection PSNR is that of the fitted field's renderings against the views that it was fitted to. Blur makes
views consistent for nothing, so each ring's sharpness (mean length of the pixels' gradient) stands beside it, and as
controls the same numbers of one-step predictions, which are blurred, and of the true ring, where the objects are
generated ones. In OUT are the scores of each object (a rerun goes on with them), consistency.json and consistency.md.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cascade_zero123.views import Cameras
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from studies.metrics import psnr
from studies.novel_views import models, ring_field
from studies.novel_views.comparison import Comparison, Reference, Row, Scores, rows_of
from studies.novel_views.held_out import Batch, HeldOut
from studies.novel_views.methods import BASE, ONE_STEP, SAMPLE, Samplings
from studies.novel_views.models import Model
from studies.novel_views.ring_field import Ring, reprojected
from studies.novel_views.ring_samples import Images, RingSamples, ring_cameras, ring_methods
from studies.novel_views.table3 import both, cascade_ingredients, chosen_samplings, model_line, save_results
from studies.novel_views.true_ring import TrueRings
from studies.store import KeptScores, RowScores
from threestudio.cameras import orbit

TRUTH = "True views"
RingsOf = Callable[[Batch, Cameras], Iterator[tuple[str, str, Images]]]


@dataclass(frozen=True)
class Part:
    """Rings of one model, or the true ones; `open` loads weights."""

    model: str
    label: str
    ingredients: Mapping[str, Any]
    methods: list[str]
    rings: int  # an object
    open: Callable[[], RingsOf]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    models.add_arguments(parser)
    parser.add_argument("--objects", type=int, default=20, help="the first so many of VIEWS_DIR [20]")
    parser.add_argument("--views", dest="ring", type=int, default=16, metavar="N", help="of a ring [16]")
    parser.add_argument("--fit-steps", type=int, default=250, help="of the field [250]")
    parser.add_argument(
        "--fovy-deg", type=float, default=20.0, help="of VIEWS_DIR, where its meta.json is missing [20]"
    )
    parser.add_argument("--out", type=Path, default=Path("consistency"), metavar="DIR", help="[consistency]")


def main(args: argparse.Namespace) -> None:
    models.check_counts(args, "objects", "ring", "fit_steps")
    chosen, views = models.chosen_models(args), HeldOut(args.views, args.seed, args.device)
    truth, numbers = TrueRings(args.views), list(range(min(args.objects, len(views))))
    fovy_deg = float(truth.given.get("fovy_deg", args.fovy_deg))
    parts = all_parts(chosen, views, truth, args)
    settings = {"views": views.fingerprint(), "seed": args.seed, "ring": args.ring, "fit": fit_settings(args, fovy_deg)}
    kept = [KeptScores(args.out / "scores", part.label, settings | dict(part.ingredients)) for part in parts]
    total = sum(part.rings * len(scores.missing(numbers)) for part, scores in zip(parts, kept, strict=True))
    with tqdm(total=total, unit="ring", desc="consistency") as bar:
        for part, scores in zip(parts, kept, strict=True):
            missing = scores.missing(numbers)
            if not missing:
                continue
            rings_of = part.open()
            for batch in views.batches(missing, 1):
                scores.add({batch.numbers[0]: measured(batch, rings_of, truth, fovy_deg, args, bar)})
    rows: dict[Row, Scores] = {}
    for part, scores in zip(parts, kept, strict=True):
        rows |= rows_of(part.model, scores.scores, numbers, {name: name for name in part.methods})
    if Row("", TRUTH, SAMPLE) in rows:
        rows[Row("", TRUTH, ONE_STEP)] = rows[Row("", TRUTH, SAMPLE)]  # a control beside rings of either kind
    notes = [settings_line(args, len(numbers)), *map(model_line, chosen), *([truth.why_not] if truth.why_not else [])]
    titles = {
        SAMPLE: f"Rings of DDIM samples ({args.steps} steps, scale {args.scale:g})",
        ONE_STEP: "Control: rings of one-step predictions (blurred)",
    }
    comparison = Comparison(rows, [Reference(f"Base of {chosen[0].name}", chosen[0].name, BASE)], args.seed)
    save_results("consistency", comparison, titles, notes, len(numbers), args)


def all_parts(chosen: list[Model], views: HeldOut, truth: TrueRings, args: argparse.Namespace) -> list[Part]:
    """The truth first, where it is known."""
    samplings = chosen_samplings(args)
    true = [] if truth.why_not else [Part("", "truth", {}, [TRUTH], 1, lambda: partial(true_ring, truth))]
    return true + [model_part(model, samplings, views, args.device) for model in chosen]


def true_ring(truth: TrueRings, batch: Batch, at: Cameras) -> Iterator[tuple[str, str, Images]]:
    views = truth(batch.numbers[0], camera_to_world(at))
    if views is not None:
        yield TRUTH, SAMPLE, views


def camera_to_world(at: Cameras) -> Float[Tensor, "view 4 4"]:
    return orbit(*at.as_tensor().cpu())


def model_part(model: Model, samplings: Samplings, views: HeldOut, device: str) -> Part:
    methods = ring_methods(model.offsets_deg, model.coarse_target)
    ingredients = cascade_ingredients(model, samplings)

    def load() -> RingsOf:
        return RingSamples(*both(model, views, device), samplings, model.offsets_deg, model.coarse_target)

    return Part(model.name, "rings", ingredients, methods, 2 * len(methods), load)


def measured(
    batch: Batch, rings_of: RingsOf, truth: TrueRings, fovy_deg: float, args: argparse.Namespace, bar: tqdm
) -> RowScores:
    """Of one object."""
    at = ring_cameras(batch, args.ring)
    ring = Ring(camera_to_world(at), fovy_deg)
    true_views = truth(batch.numbers[0], ring.c2w)
    scores: RowScores = {}
    for method, kind, images in rings_of(batch, at):
        compared = None if method == TRUTH else true_views
        scores.setdefault(method, {})[kind] = scores_of_ring(images[:, :3].cpu(), ring, compared, args)
        bar.update()
    return scores


def scores_of_ring(images: Images, ring: Ring, true_views: Images | None, args: argparse.Namespace) -> dict[str, float]:
    again = reprojected(images, ring, args.fit_steps, args.seed)
    scores = {"reprojection PSNR": float(psnr(again, images).mean()), "sharpness": sharpness(images)}
    if true_views is not None:
        scores["PSNR to truth"] = float(psnr(images, true_views).mean())
    return scores


def sharpness(images: Float[Tensor, "view 3 h w"]) -> float:
    """Mean length of the gradient, in brightness ([0, 1]) a pixel, over all pixels and channels."""
    right = images[..., :-1, 1:] - images[..., :-1, :-1]
    down = images[..., 1:, :-1] - images[..., :-1, :-1]
    return float((right.square() + down.square()).sqrt().mean())


def fit_settings(args: argparse.Namespace, fovy_deg: float) -> dict[str, Any]:
    return {"steps": args.fit_steps, "fovy_deg": fovy_deg, **ring_field.settings()}


def settings_line(args: argparse.Namespace, count: int) -> str:
    prompts = f"prompts and coarse targets by {args.prompt_steps} steps at scale {args.prompt_scale:g}"
    return (
        f"{count} objects of {args.views}, rings of {args.ring} views, fields fitted in {args.fit_steps} steps, seed "
        f"{args.seed}; {prompts}. 95 % bootstrap intervals."
    )
