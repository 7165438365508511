"""Novel views of held-out objects against the truth: every row of Table 3, with the controls that keep it honest.

    python scripts/evaluate.py novel-views VIEWS_DIR --model NAME=FOLDER [--model NAME=FOLDER ...]
        [--longer-base FOLDER] [--objects 200] [--pictures 8] [--out novel_views]

VIEWS_DIR holds packed views in the cascade layout (scripts/render_views.py --packed). One target of each object, a
random view, from its view 0; every view of an object starts from the same noise, so that rows are paired. For each
model: Base, the Refiner in every context that it can have, and the oracle, the same Refiner with true nearby views.
Controls: the source copied, the mean of four Base samples, and a Base trained for as long as the Refiner. In OUT are
the scores of each object (a rerun goes on with them), novel_views.json, novel_views.md and, with --pictures, a PNG.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_zero123.cascade.stages import NEARBY_DEG, Sampling
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.model import Zero123
from tqdm import tqdm

from studies.novel_views import models
from studies.novel_views.comparison import Comparison, Reference, Row, Scores, rows_of
from studies.novel_views.held_out import Batch, HeldOut
from studies.novel_views.image_metrics import ImageMetrics
from studies.novel_views.methods import (
    BASE,
    COPY,
    MEAN_OF_SAMPLES,
    ONE_STEP,
    SAMPLE,
    SAMPLES_OF_MEAN,
    BaseRows,
    Made,
    RefinerRows,
    Samplings,
    Told,
    copied_source,
    method_rows,
)
from studies.novel_views.models import Model
from studies.novel_views.pictures import save_pictures
from studies.store import KeptScores, RowScores
from threestudio.utils.atomic import atomic_path

LONGER_BASE = "Base, trained for longer"
RowsOf = Callable[[Batch, Told], Made]


@dataclass(frozen=True)
class Part:
    """Rows that are computed together: `methods` are theirs, and what the table calls them; `open` loads weights."""

    model: str
    label: str
    ingredients: Mapping[str, Any]
    methods: Mapping[str, str]
    passes: int  # of a network, an object
    open: Callable[[], RowsOf]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    models.add_arguments(parser)
    parser.add_argument("--longer-base", type=Path, metavar="FOLDER", help="a Base trained for as long as the Refiner")
    parser.add_argument("--objects", type=int, default=200, help="the first so many of VIEWS_DIR [200]")
    parser.add_argument("--batch", type=int, default=25, help="objects in a network at once [25]")
    parser.add_argument("--pictures", type=int, default=0, metavar="N", help="show the first N objects")
    parser.add_argument("--out", type=Path, default=Path("novel_views"), metavar="DIR", help="[novel_views]")


def main(args: argparse.Namespace) -> None:
    models.check_counts(args, "objects", "batch")
    chosen, views = models.chosen_models(args), HeldOut(args.views, args.seed, args.device)
    metrics, numbers = ImageMetrics(views.size, args.device), list(range(min(args.objects, len(views))))
    parts = all_parts(chosen, views, args)
    kept = [KeptScores(args.out / "scores", part.label, _ingredients(part, views, metrics)) for part in parts]
    fill(parts, kept, views, numbers, metrics, args.batch)
    rows: dict[Row, Scores] = {}
    for part, scores in zip(parts, kept, strict=True):
        rows |= rows_of(part.model, scores.scores, numbers, part.methods)
    comparison = Comparison(rows, references(chosen, args), args.seed)
    write(comparison, chosen, len(views), metrics, args)
    if args.pictures:
        batch = views.batch(numbers[: args.pictures])
        labelled = [(part.model, part.methods, part.open()(batch, lambda passes: None)) for part in parts]
        save_pictures(args.out / "novel_views.png", batch, labelled)


def all_parts(chosen: list[Model], views: HeldOut, args: argparse.Namespace) -> list[Part]:
    """Controls first; the mean of several samples is of the first model's Base."""
    samplings = chosen_samplings(args)
    sampling = samplings.views
    parts = [Part("", "copied", {}, {COPY: COPY}, 0, lambda: lambda batch, told: copied_source(batch))]
    if args.longer_base is not None:
        longer = Model("", args.longer_base)
        parts.append(base_part(longer, {BASE: LONGER_BASE}, 1, sampling, views, args.device))
    for place, model in enumerate(chosen):
        samples = SAMPLES_OF_MEAN if place == 0 else 1
        methods = {MEAN_OF_SAMPLES: MEAN_OF_SAMPLES, BASE: BASE} if place == 0 else {BASE: BASE}
        parts.append(base_part(model, methods, samples, sampling, views, args.device))
        parts.append(refiner_part(model, samplings, views, args.device))
    return parts


def chosen_samplings(args: argparse.Namespace) -> Samplings:
    prompts = Sampling(args.prompt_steps, args.prompt_scale, args.seed)
    return Samplings(Sampling(args.steps, args.scale, args.seed), prompts)


def base_part(
    model: Model, methods: Mapping[str, str], samples: int, sampling: Sampling, views: HeldOut, device: str
) -> Part:
    ingredients = {"base": model.base_fingerprint(), "samples": samples, "sampling": vars(sampling)}

    def load() -> RowsOf:
        base = fitting(model.load(device).base, model, views)
        return BaseRows(base, sampling, samples)

    return Part(model.name, "base", ingredients, methods, BaseRows.passes(sampling, samples), load)


def refiner_part(model: Model, samplings: Samplings, views: HeldOut, device: str) -> Part:
    methods = method_rows(model.offsets_deg, model.coarse_target)
    ingredients = cascade_ingredients(model, samplings)

    def load() -> RowsOf:
        return RefinerRows(*both(model, views, device), samplings, model.offsets_deg, model.coarse_target)

    prompts = len(NEARBY_DEG if model.offsets_deg is None else model.offsets_deg)
    cost = RefinerRows.passes(samplings, prompts, len(methods))
    return Part(model.name, "refiner", ingredients, {name: name for name in methods}, cost, load)


def both(model: Model, views: HeldOut, device: str) -> tuple[Zero123, Zero123]:
    """Base and Refiner, loaded and found to fit the views."""
    pipeline = model.load(device)
    return fitting(pipeline.base, model, views), fitting(pipeline.refiner, model, views)


def cascade_ingredients(model: Model, samplings: Samplings) -> dict[str, Any]:
    """What decides the cascade's views beside the object."""
    return {
        "base": model.base_fingerprint(),
        "refiner": model.refiner_fingerprint(),
        "sampling": vars(samplings.views),
        "prompt_sampling": vars(samplings.prompts),
        "prompt_views": model.prompt_views(),
        "coarse_target": model.coarse_target,
    }


def fitting(network: Zero123, model: Model, views: HeldOut) -> Zero123:
    size = network.settings.image_size
    if size != views.size:
        raise UserError(
            f"{model.folder}: makes views of {size} px, {views.folder} has {views.size} px; render views with "
            f"--size {size}"
        )
    return network


def _ingredients(part: Part, views: HeldOut, metrics: ImageMetrics) -> dict[str, Any]:
    return {
        "views": views.fingerprint(),
        "seed": views.seed,
        "metrics": metrics.names(),
        "methods": list(part.methods),
        **part.ingredients,
    }


def fill(
    parts: list[Part], kept: list[KeptScores], views: HeldOut, numbers: list[int], metrics: ImageMetrics, at_once: int
) -> None:
    """Computes what is not there yet; the bar counts passes of a network."""
    total = sum(part.passes * len(scores.missing(numbers)) for part, scores in zip(parts, kept, strict=True))
    with tqdm(total=total, unit="pass", desc="novel views") as bar:
        for part, scores in zip(parts, kept, strict=True):
            missing = scores.missing(numbers)
            if not missing:
                continue
            rows = part.open()
            for batch in views.batches(missing, at_once):
                scores.add(measured(batch, rows(batch, counted(bar, len(batch.numbers))), metrics))


def counted(bar: tqdm, objects: int) -> Told:
    """Moves the bar by the passes of a network for so many objects at once."""

    def told(passes: int) -> None:
        bar.update(passes * objects)

    return told


def measured(batch: Batch, views: Made, metrics: ImageMetrics) -> dict[int, RowScores]:
    scores: dict[int, RowScores] = {number: {} for number in batch.numbers}
    for (method, kind), images in views.items():
        for number, values in zip(batch.numbers, metrics(images, batch.target.pictures[:, 0]), strict=True):
            scores[number].setdefault(method, {})[kind] = values
    return scores


def references(chosen: list[Model], args: argparse.Namespace) -> list[Reference]:
    first = Reference(f"Base of {chosen[0].name}", chosen[0].name, BASE)
    longer = [Reference("longer Base", "", LONGER_BASE)] if args.longer_base is not None else []
    return [first, *longer]


def write(
    comparison: Comparison, chosen: list[Model], available: int, metrics: ImageMetrics, args: argparse.Namespace
) -> None:
    notes = [settings_line(args, available), *map(model_line, chosen), *metrics.notes()]
    titles = {
        SAMPLE: f"One DDIM sample ({args.steps} steps, scale {args.scale:g})",
        ONE_STEP: "One-step prediction (the mean over plausible views: blurred)",
    }
    save_results("novel_views", comparison, titles, notes, min(args.objects, available), args)


def save_results(
    name: str,
    comparison: Comparison,
    titles: Mapping[str, str],
    notes: list[str],
    objects: int,
    args: argparse.Namespace,
) -> None:
    """Prints the tables, and writes them and the numbers to OUT/name.md and name.json."""
    text = comparison.markdown(titles) + "".join(f"\n{note}\n" for note in notes)
    print(text, end="")
    options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    options.pop("main", None)
    record = {"options": options, "objects": objects, "notes": notes, "rows": comparison.record()}
    with atomic_path(args.out / f"{name}.json") as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    with atomic_path(args.out / f"{name}.md") as partial:
        partial.write_text(text, encoding="utf-8")


def settings_line(args: argparse.Namespace, available: int) -> str:
    count = min(args.objects, available)
    asked = f" ({args.objects} were asked for; there are no more)" if available < args.objects else ""
    prompts = f"prompts and coarse targets by {args.prompt_steps} steps at scale {args.prompt_scale:g}"
    longer = f"; longer Base: {args.longer_base}" if args.longer_base is not None else ""
    return f"{count} objects of {args.views}{asked}, seed {args.seed}; {prompts}{longer}. 95 % bootstrap intervals."


def model_line(model: Model) -> str:
    offsets = json.dumps(model.prompt_views())
    coarse = "" if model.coarse_target else ", without coarse target"
    return f"{model.name}: {model.folder}, prompt views {offsets}{coarse}."
