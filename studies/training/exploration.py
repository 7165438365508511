"""What matters for a small Base: short trainings from nothing that each change one thing, compared on held-out objects.

    python scripts/explore_training.py VIEWS_DIR [--out outputs/exploration] [--only NAME ...] [key=value ...]

Each is configs/train-base.yaml cut down to 600 steps of 16, from random weights, with what RUNS names changed (128-px:
on 1,000 objects instead of 6,000, as 1000-objects; at other sizes a patch has other shares of its numbers); further
key=value go to all of them. VIEWS_DIR holds packed views in the cascade layout (scripts/render_views.py --packed), at
whose size views are scored whatever size a model makes: one-step predictions and DDIM samples of Base, object by object
against "reference". A run that is done is left as it is, an interrupted one goes on. In OUT are the weights, scores,
exploration.json and exploration.md. One run each: compare what they differ by with "other-seed".
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from cascade_zero123.cascade.context import EncodedViews
from cascade_zero123.cascade.stages import Sampling
from cascade_zero123.common.errors import UserError
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.model import Zero123
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from studies.commands import exit_code
from studies.metrics import psnr
from studies.novel_views.comparison import Comparison, Reference, Row, Scores, rows_of
from studies.novel_views.held_out import HeldOut
from studies.novel_views.image_metrics import ImageMetrics
from studies.novel_views.methods import BASE, ONE_STEP, SAMPLE, BaseRows
from studies.novel_views.models import Model
from studies.novel_views.table3 import measured, save_results
from studies.store import KeptScores
from studies.training.runs import Run, refuse_what_is_no_key, trained

CONFIG = "configs/train-base.yaml"
A = "system.architecture."


def latents(channels: int, patch: int = 8, side: int = 8) -> list[str]:
    return [
        f"{A}vae.patch_size={patch}",
        f"{A}vae.latent_channels={channels}",
        f"{A}unet.out_channels={channels}",
        f"{A}unet.in_channels={2 * channels}",
        f"{A}unet.sample_size={side}",
    ]


SHORT = [
    "system.encoder_steps=300",
    "system.warmup_steps=50",
    "system.constant_steps=300",
    "system.decay_steps=600",
    "trainer.max_steps=600",
    "trainer.val_check_interval=600",
    "trainer.devices=1",
    "trainer.strategy=auto",
    # What these runs chose, so that each can be compared with what it was chosen over.
    "system.architecture.scheduler.prediction_type=sample",
    "system.max_snr_weight=null",
    # Of colours alone, as the model that shipped then.
    "system.architecture.vae.in_channels=3",
    "system.architecture.image_encoder.num_channels=3",
    *latents(64),
    "data.pale_probability=0",
]

REFERENCE = "reference"
RUNS: dict[str, list[str]] = {
    REFERENCE: [],
    "other-seed": ["seed=1"],
    # prediction type and schedule
    "v": [f"{A}scheduler.prediction_type=v_prediction"],
    "epsilon": [
        f"{A}scheduler.prediction_type=epsilon",
        f"{A}scheduler.rescale_betas_zero_snr=false",
        f"{A}scheduler.timestep_spacing=leading",
    ],
    "cosine": [f"{A}scheduler.beta_schedule=squaredcos_cap_v2"],
    # loss weighting, and by which timesteps are drawn
    "weight-5": ["system.max_snr_weight=5"],
    "loss-on-v": ["system.max_snr_weight=1000"],
    "uniform-timesteps": ["system.high_noise_power=0", "system.last_step_probability=0"],
    # latents
    "latents-32": latents(32),
    "latents-192": latents(192),
    "patches-of-4": latents(16, patch=4, side=16),
    "whitening-0": [f"{A}vae.whitening=0"],
    "whitening-1": [f"{A}vae.whitening=1"],
    # resolution
    "32-px": [
        *latents(48, patch=4),
        f"{A}settings.image_size=32",
        f"{A}image_encoder.image_size=32",
        f"{A}image_encoder.patch_size=8",
    ],
    "128-px": [
        *latents(64, patch=16),
        f"{A}settings.image_size=128",
        "data.train_folder=data/train-128",
        "data.val_folder=data/val-128",
    ],
    # width
    "narrow": [f"{A}unet.block_out_channels=[64,80]"],
    "wide": [f"{A}unet.block_out_channels=[144,176]"],
    # opacity
    "opacity": [*latents(80), f"{A}vae.in_channels=4", f"{A}image_encoder.num_channels=4"],
    # data
    "1000-objects": ["data.train_folder=data/train-1000"],  # what 128-px has too
    "100-objects": ["data.train_folder=data/train-100"],
    "not-augmented": ["data.augment=false"],
}
# What some of them need beside data/train, with the options of scripts/render_views.py --layout cascade that make it.
NEEDED = {
    "data/train-128": "--generate 1000 --split train --size 128",
    "data/val-128": "--generate 200 --split val --size 128",
    "data/train-1000": "--generate 1000 --split train",
    "data/train-100": "--generate 100 --split train",
}


def run_of(name: str, overrides: list[str]) -> Run:
    return Run(name, CONFIG, [*SHORT, *RUNS[name], *overrides])


def main(argv: Sequence[str] | None = None) -> int:
    args, overrides = parser().parse_known_args(argv)
    return exit_code(lambda: explore(args, overrides))


def explore(args: argparse.Namespace, overrides: list[str]) -> None:
    refuse_what_is_no_key(overrides)
    runs, out = [run_of(name, overrides) for name in args.only or RUNS], args.out.resolve()
    for run in runs:
        refuse_missing_views(run)
    truth = HeldOut(args.views, args.seed)
    numbers = list(range(min(args.objects, len(truth))))
    metrics, notes = ImageMetrics(truth.size, "cpu"), []
    rows: dict[Row, Scores] = {}
    for run in runs:
        model = Model(run.name, trained(run, out))
        base = model.load("cpu").base
        seen = views_for(base.settings.image_size, run, truth, args)
        rows |= rows_of(run.name, scores(base, model, seen, truth, numbers, metrics, args), numbers, {BASE: BASE})
        notes.append(
            f"{run.name}: {gigaflops(base):.2f} GFLOP a pass of the U-Net, {megabytes(base):.1f} MB, autoencoder "
            f"{reconstruction(base, seen, numbers):.1f} dB; {' '.join(RUNS[run.name] or [CONFIG, *SHORT])}."
        )
    titles = {ONE_STEP: "One step", SAMPLE: f"DDIM samples ({args.steps} steps, scale {args.scale:g})"}
    first = [Reference(REFERENCE, REFERENCE, BASE)] if any(run.name == REFERENCE for run in runs) else []
    comparison = Comparison(rows, first, args.seed)
    save_results("exploration", comparison, titles, [*notes, *metrics.notes()], len(numbers), args)


def refuse_missing_views(run: Run) -> None:
    for key in ("data.train_folder", "data.val_folder"):
        folder = run.settings()[key]
        if not Path(folder).is_dir():
            options = NEEDED.get(folder, "--generate ...")
            made = f"python scripts/render_views.py --layout cascade {options} --packed {folder}"
            raise UserError(f"{folder}: no such folder, and {run.name} is trained on it; make it with {made}")


def views_for(size: int, run: Run, truth: HeldOut, args: argparse.Namespace) -> HeldOut:
    """The same views at a model's own size: those that it is validated with, where `truth` are smaller."""
    folder = Path(run.settings()["data.val_folder"]) if size > truth.size else args.views
    seen = HeldOut(folder, args.seed, "cpu", size)
    count = min(args.objects, len(truth))
    if not np.array_equal(seen.views.cameras[:count], truth.views.cameras[:count]):
        raise UserError(f"{folder}: not the objects and cameras of {args.views}; render both with the same options")
    return seen


def scores(
    base: Zero123,
    model: Model,
    seen: HeldOut,
    truth: HeldOut,
    numbers: list[int],
    metrics: ImageMetrics,
    args: argparse.Namespace,
) -> dict[int, Any]:
    """Of each object, at the size of `truth`."""
    sampling = Sampling(args.steps, args.scale, args.seed)
    ingredients = {
        "base": model.base_fingerprint(),
        "sampling": vars(sampling),
        "views": truth.fingerprint(),
        "seen": seen.fingerprint(),
        "metrics": metrics.names(),
    }
    kept = KeptScores(args.out / "scores", model.name, ingredients)
    missing = kept.missing(numbers)
    draw = BaseRows(base, sampling)
    with tqdm(total=len(missing), unit="object", desc=model.name, disable=not missing) as bar:
        for batch, true in zip(seen.batches(missing, args.batch), truth.batches(missing, args.batch), strict=True):
            views = {row: at_size(images, truth.size) for row, images in draw(batch, lambda passes: None).items()}
            kept.add(measured(true, views, metrics))
            bar.update(len(batch.numbers))
    return kept.scores


@torch.no_grad()
def reconstruction(base: Zero123, seen: HeldOut, numbers: list[int]) -> float:
    """Mean PSNR of what the autoencoder makes of the true targets: no view can be better."""
    truth = seen.batch(numbers).seen_by(base).target.pictures[:, 0]
    return float(psnr(base.decode(base.target_latents(truth))[:, :3], truth[:, :3]).mean())


def at_size(images: torch.Tensor, size: int) -> torch.Tensor:
    """Larger ones by averaging, smaller ones by bicubic interpolation."""
    if images.shape[-1] == size:
        return images
    if images.shape[-1] > size:
        return F.interpolate(images, (size, size), mode="area")
    return F.interpolate(images, (size, size), mode="bicubic", align_corners=False).clamp(0, 1)


@torch.no_grad()
def gigaflops(base: Zero123) -> float:
    """Multiplications and additions of one pass for one view, shown the source alone."""
    camera, side = Cameras.one(0.0, 30.0, base.settings.camera_distance), base.settings.image_size
    source = Views(torch.zeros(1, base.channels, side, side), camera)
    seen = EncodedViews.of(base, source[None]).context(base, camera[None])
    with FlopCounterMode(display=False) as counter:
        base.predict(torch.zeros(1, *base.latent_shape), torch.tensor([0]), seen)
    return counter.get_total_flops() / 1e9


def megabytes(base: Zero123) -> float:
    """Of the U-Net in float16, as it is stored."""
    return sum(parameter.numel() for parameter in base.unet.parameters()) * 2 / 1e6


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", type=Path, metavar="VIEWS_DIR", help="packed views in the cascade layout")
    parser.add_argument("--out", type=Path, default=Path("outputs/exploration"))
    parser.add_argument("--only", action="append", choices=tuple(RUNS), help="this run, and others so named [all]")
    parser.add_argument("--objects", type=int, default=200, help="the first so many of VIEWS_DIR [200]")
    parser.add_argument("--batch", type=int, default=25, help="objects in a network at once [25]")
    parser.add_argument("--steps", type=int, default=25, help="DDIM steps of the samples [25]")
    parser.add_argument("--scale", type=float, default=1.5, help="their guidance scale [1.5]")
    parser.add_argument("--seed", type=int, default=0, help="of targets and noise")
    return parser
