"""Novel views of held-out objects against the truth, in PSNR with 95 % bootstrap intervals: what the model card states.

    python scripts/evaluate.py novel-views WEIGHTS VIEWS_DIR [--objects 100] [--out table.md]

WEIGHTS holds base/ and refiner/, VIEWS_DIR packed views in the cascade layout (scripts/render_views.py --packed). One
target of each object, a random view, from its view 0. "True views" is the oracle: the Refiner with the true nearby
views as prompts, which tells whether the context is read at all.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from cascade_zero123.cascade.context import Cascade, joined
from cascade_zero123.metrics.psnr import psnr
from cascade_zero123.pipeline import CascadeZero123Pipeline
from cascade_zero123.seeding import draw_generator
from cascade_zero123.training.rendered_views import NEARBY_VIEWS, PackedViews
from cascade_zero123.zero123.model import Context, Zero123
from cascade_zero123.zero123.pose import Pose
from cascade_zero123.zero123.sampler import predict_in_one_step, sample_ddim
from cascade_zero123.zero123.white import on_white
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from evaluation.summary import bootstrap_interval
from threestudio.utils.atomic import atomic_path

Views = Float[Tensor, "view 3 h w"]


def context(model: Zero123, images: Views, poses: Pose, targets: Pose) -> Context:
    """The first image is the source."""
    return Cascade.of(model, images, poses).context(model, targets)


class Methods:
    """All rows of the table for one object; noise depends on the object alone, so that rows compare."""

    def __init__(self, base: Zero123, refiner: Zero123, args: argparse.Namespace) -> None:
        self.base, self.refiner, self.args = base, refiner, args

    @torch.no_grad()
    def __call__(self, images: Views, poses: Pose, target: Pose, index: int) -> dict[str, Views]:
        """`images` and `poses`: the source, then the true nearby views."""
        source, source_pose = images[:1], Pose(*(value[:1] for value in poses))
        noise = torch.randn((1, *self.base.latent_shape), generator=draw_generator(self.args.seed, "noise", index))
        prompts = self.sample(self.base, source, source_pose, Pose(*(value[1:] for value in poses)), index)
        coarse = self.sample(self.base, source, source_pose, target, index)
        cascade = torch.cat([source, prompts])
        contexts: dict[str, tuple[Zero123, Context]] = {
            "Base": (self.base, context(self.base, source, source_pose, target)),
            "Refiner, source alone": (self.refiner, context(self.refiner, source, source_pose, target)),
            "Refiner, prompts": (self.refiner, context(self.refiner, cascade, poses, target)),
            "Refiner, prompts and coarse target": (
                self.refiner,
                context(self.refiner, torch.cat([cascade, coarse]), joined(poses, target), target),
            ),
            "Refiner, true views (oracle)": (self.refiner, context(self.refiner, images, poses, target)),
        }
        views = {"source copied": source}
        for name, (model, seen) in contexts.items():
            views[f"{name}; one step"] = model.decode(predict_in_one_step(model, seen, noise))
            latents = sample_ddim(model, seen, noise, self.args.steps, self.args.scale)
            views[f"{name}; {self.args.steps} steps, scale {self.args.scale:g}"] = model.decode(latents)
        return views

    def sample(self, model: Zero123, source: Views, source_pose: Pose, targets: Pose, index: int) -> Views:
        seen = context(model, source, source_pose, targets)
        generator = draw_generator(self.args.seed, "prompts", index)
        noise = torch.randn((len(targets.distance), *model.latent_shape), generator=generator)
        return model.decode(sample_ddim(model, seen, noise, self.args.steps, self.args.scale))


def objects(views: PackedViews, count: int, seed: int) -> Iterator[tuple[int, Views, Pose, Views, Pose]]:
    first = 1 + len(NEARBY_VIEWS)
    for index in range(min(count, len(views))):
        generator = draw_generator(seed, "target", index)
        target = first + int(torch.randint(views.view_count - first, (), generator=generator))
        columns = torch.tensor([[0, *NEARBY_VIEWS, target]])
        images = on_white(views.rgba(torch.tensor([index]), columns))[0]
        pose = views.pose(torch.tensor([index]), columns)
        yield index, images[:-1], Pose(*(v[:-1] for v in pose)), images[-1:], Pose(*(v[-1:] for v in pose))


def table(scores: dict[str, list[float]], seed: int) -> str:
    rows = ["| novel view | PSNR, dB | 95 % interval |", "|---|---|---|"]
    for name, values in scores.items():
        low, high = bootstrap_interval(np.asarray(values), seed)
        rows.append(f"| {name} | {np.mean(values):.2f} | {low:.2f} to {high:.2f} |")
    return "\n".join(rows) + "\n"


def main(args: argparse.Namespace) -> None:
    views = PackedViews(args.views)
    pipeline = CascadeZero123Pipeline.from_pretrained(args.weights)
    methods, scores = Methods(pipeline.base, pipeline.refiner, args), {}
    count = min(args.objects, len(views))
    for index, images, poses, truth, target in tqdm(objects(views, count, args.seed), total=count):
        for name, view in methods(images, poses, target, index).items():
            scores.setdefault(name, []).append(float(psnr(view, truth)))
    text = table(scores, args.seed)
    print(text, end="")
    if args.out is not None:
        with atomic_path(args.out) as partial:
            partial.write_text(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path)
    parser.add_argument("views", type=str)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--steps", type=int, default=25, help="DDIM steps")
    parser.add_argument("--scale", type=float, default=1.5, help="guidance scale")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the table there, as Markdown")
