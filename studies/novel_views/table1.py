"""Table 1 of the paper: novel views of rendered objects against the truth, beside the paper's numbers.

    python scripts/evaluate.py table1 VIEWS --weights WEIGHTS [--objects 200] [--out table1]

VIEWS holds <id>/000.png (RGBA, straight alpha), 000.npy (3x4 world to camera), 001.png ...: what
scripts/render_views.py and Zero-1-to-3's renderings hold. Of all ids in alphabetical order, `--objects` are drawn by
`--seed`; of each, view 000 is the source, and `--targets` others are drawn as targets. What was drawn, and every score,
is written to OUT.json; the table to OUT.md. Rows: plain Zero-1-to-3 (Base alone) and the cascade, from the same noise.
PSNR, SSIM and LPIPS (or what stands in for it) are taken at the model's own size on white; CLIP is the similarity to
the source view.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cascade_zero123.cascade.models import LoadedModels
from cascade_zero123.cascade.source import as_model_sees, read_rgba, view_for
from cascade_zero123.cascade.stages import Cascade, Stage
from cascade_zero123.common.errors import UserError
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.novel_view.sampling import TargetSampling, novel_views
from cascade_zero123.pipeline import CascadeZero123Pipeline, prompt_sampling
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.pose import pose_from_world_to_camera
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from studies.metrics import Score, Unavailable, clip_score, mean_score, perceptual, psnr, score, ssim
from studies.metrics.bootstrap import bootstrap_interval
from studies.metrics.lpips import why_no_lpips
from studies.metrics.paper_tables import TABLE_1, paper_table
from threestudio.utils.atomic import atomic_path

BASELINE, CASCADE = "Zero-1-to-3 (Base alone)", "Cascade-Zero123"
Images = Float[Tensor, "view channel h w"]


@dataclass(frozen=True)
class TestObject:
    """Folder, its place among all ids, and the views to be made of its view 0."""

    folder: Path
    index: int
    targets: list[int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("views", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="base/ and refiner/, or one Zero-1-to-3")
    parser.add_argument("--objects", type=int, default=200, help="how many to draw [200]")
    parser.add_argument("--targets", type=int, default=1, help="views of each object [1]")
    parser.add_argument("--steps", type=int, default=50, help="DDIM steps of the views [50]")
    parser.add_argument("--prompt-steps", type=int, help="of prompt views and coarse targets [the Refiner's own]")
    parser.add_argument("--scale", type=float, default=3.0, help="guidance scale [3]")
    parser.add_argument("--prompt-scale", type=float, help="of prompt views and coarse targets [the Refiner's own]")
    parser.add_argument("--eta", type=float, default=0.0, help="DDIM's noise [0]")
    parser.add_argument("--chunk", type=int, default=8, help="views in a network at once [8]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clip", type=Path, help="folder of the CLIP to score with, in transformers' layout")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("table1"), help="OUT.md and OUT.json [table1]")


def main(args: argparse.Namespace) -> None:
    if args.objects < 1 or args.targets < 1:
        raise UserError(f"--objects {args.objects} --targets {args.targets}; expected at least 1 of each")
    objects = drawn_objects(args.views, args.objects, args.targets, args.seed)
    pipeline = CascadeZero123Pipeline.from_pretrained(args.weights, device=args.device)
    metrics = {"PSNR": psnr, "SSIM": ssim, "LPIPS": perceptual(args.device)}
    clip = clip_score(pipeline.base, args.clip, args.device)
    scores: dict[str, list[dict[str, Score]]] = {BASELINE: [], CASCADE: []}
    for one in tqdm(objects, unit="object"):
        for method, measured in scores_of(one, pipeline, metrics, clip, args).items():
            scores[method].append(measured)
    notes = [f"{len(objects)} objects of {args.views}, {_settings(args, pipeline)}", *_notes(metrics["LPIPS"], clip)]
    text = paper_table("novel views", {name: summary(rows, args.seed) for name, rows in scores.items()}, TABLE_1, notes)
    print(text, end="")
    _write(args.out.with_name(f"{args.out.name}.md"), text)
    _write(args.out.with_name(f"{args.out.name}.json"), json.dumps(_record(args, objects, scores), indent=1) + "\n")


def drawn_objects(folder: Path, count: int, targets: int, seed: int) -> list[TestObject]:
    """Depends on the ids, the seed and the counts alone."""
    folders = sorted(path.parent for path in folder.rglob("000.npy"))
    if not folders:
        raise UserError(f"{folder}: no object in it; expected <id>/000.png and 000.npy (scripts/render_views.py)")
    order = torch.randperm(len(folders), generator=draw_generator(seed, "table1 objects", 0)).tolist()
    return [TestObject(folders[i], i, _drawn_targets(folders[i], i, targets, seed)) for i in sorted(order[:count])]


def _drawn_targets(folder: Path, index: int, count: int, seed: int) -> list[int]:
    views = len(list(folder.glob("[0-9][0-9][0-9].npy")))
    if views < 1 + count:
        raise UserError(f"{folder}: {views} views; {1 + count} are needed, the source and {count} to compare with")
    others = 1 + torch.randperm(views - 1, generator=draw_generator(seed, "table1 targets", index))
    return sorted(others[:count].tolist())


def scores_of(
    one: TestObject,
    pipeline: CascadeZero123Pipeline,
    metrics: Mapping[str, Any],
    clip: Any,
    args: argparse.Namespace,
) -> dict[str, dict[str, Score]]:
    size, device, seed = pipeline.base.settings.image_size, pipeline.device, args.seed + one.index
    camera, targets = (_cameras(one.folder, views).to(device) for views in ([0], one.targets))
    sampling = TargetSampling(args.steps, args.scale, seed, args.eta, args.chunk)
    shown = prompt_sampling(pipeline.refiner, args.prompt_steps, args.prompt_scale, seed)
    methods = {
        BASELINE: ([pipeline.base], [Stage()], False),
        CASCADE: ([pipeline.base, pipeline.refiner], [Stage(sampling=shown), Stage()], True),
    }
    given = view_for(pipeline.refiner, read_rgba(one.folder / "000.png"), camera)
    truth = torch.cat([as_model_sees(read_rgba(one.folder / f"{view:03d}.png"), size, 3) for view in one.targets])
    scores = {}
    for name, (chain, stages, coarse) in methods.items():
        cascade = Cascade(stages, LoadedModels(chain))
        made = novel_views(cascade, chain[-1], given, targets, sampling, coarse)
        scores[name] = _measured(made.views, truth, given, metrics, clip)
    return scores


def _measured(views: Views, truth: Images, given: Views, metrics: Mapping[str, Any], clip: Any) -> dict[str, Score]:
    """ST-LPIPS stands under its own name, and leaves LPIPS without a number."""
    images, source = views.colors.cpu(), given.colors.cpu()
    measured = {name: score(metric, images, truth) for name, metric in metrics.items() if name != "LPIPS"}
    distance = metrics["LPIPS"]
    if distance.name != "LPIPS":
        measured["LPIPS"] = Score(None, why_no_lpips())
    measured[distance.name] = score(distance, images, truth)
    return {**measured, "CLIP": score(clip, images, source)}


def summary(rows: list[dict[str, Score]], seed: int) -> dict[str, Score]:
    """Means over objects with 95 % bootstrap intervals."""
    return {name: _mean([row[name] for row in rows], seed) for name in rows[0]}


def _mean(scores: list[Score], seed: int) -> Score:
    mean = mean_score(scores)
    if mean.value is None:
        return mean
    return Score(mean.value, interval=bootstrap_interval(np.array([one.value for one in scores]), seed))


def _cameras(folder: Path, views: list[int]) -> Cameras:
    return pose_from_world_to_camera(
        torch.stack([torch.from_numpy(_camera(folder / f"{view:03d}.npy")) for view in views])
    )


def _camera(file: Path) -> Float[np.ndarray, "3 4"]:
    try:
        camera = np.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not a camera that can be read ({error})") from error
    if camera.shape not in ((3, 4), (4, 4)):
        raise UserError(f"{file}: shape {camera.shape}; expected 3 x 4, world to camera")
    return camera[:3].astype(np.float32)


def _settings(args: argparse.Namespace, pipeline: CascadeZero123Pipeline) -> str:
    size = pipeline.base.settings.image_size
    shown = prompt_sampling(pipeline.refiner, args.prompt_steps, args.prompt_scale, args.seed)
    prompts = f"{shown.steps} steps and scale {shown.scale:g} of prompt views and coarse targets"
    sampling = f"{args.steps} DDIM steps, scale {args.scale:g} ({prompts}), eta {args.eta:g}, seed {args.seed}"
    return f"{args.targets} view(s) each at {size} px; {args.weights}: {sampling}; 95 % bootstrap intervals of the mean"


def _notes(distance: Any, clip: Any) -> list[str]:
    notes = [metric.note + "." for metric in (distance, clip) if not isinstance(metric, Unavailable)]
    return [*notes, "The paper's numbers are on 200 objects of Objaverse, of its authors' choice."]


def _record(args: argparse.Namespace, objects: list[TestObject], scores: Mapping[str, Any]) -> dict[str, Any]:
    """All that is needed to draw the same objects again, and to test one method against another object by object."""
    options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    return {
        "options": {key: value for key, value in options.items() if key != "main"},
        "objects": [
            {
                "id": one.folder.relative_to(args.views).as_posix(),
                "index": one.index,
                "source": 0,
                "targets": one.targets,
                "scores": {name: {k: s.value for k, s in rows[place].items()} for name, rows in scores.items()},
            }
            for place, one in enumerate(objects)
        ],
    }


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
