"""Trains the rows of the paper's Table 3 and their control from one Base, one after the other.

    python scripts/train_ablations.py BASE [--out outputs/ablations] [--only nearby --only more] [key=value ...]

BASE is the folder of a trained Base; further key=value go to every row (say trainer.max_steps=500). A row that is done
is left as it is, an interrupted one goes on, if its settings in OUT/<row>.json are today's. Each ends as OUT/<row>/base
and OUT/<row>/refiner, which scripts/evaluate.py novel-views compares (its help names the options that "larger" and
"more" need). The row "two Zero-1-to-3 in cascade, frozen" is not trained: Base stands in for the Refiner.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from studies.commands import exit_code
from studies.training.runs import ROOT, Run, refuse_what_is_no_key, trained
from threestudio.errors import UserError

REFINER, BASE = "configs/train-refiner.yaml", "configs/train-base.yaml"
# Prompts are what Base samples, never true views, and Base follows the Refiner by Eq. 13, which has no warm-up.
PAPER = ["data.context_probability=0", "system.ema_decay=0.999", "system.ema_warmup=false"]

# Sec. 4.4; the first is the bundled model's recipe, which also shows true views and leaves Base as it is.
ROWS: dict[str, tuple[str, list[str]]] = {
    "ours": (REFINER, []),
    "nearby": (REFINER, PAPER),
    "random": (REFINER, [*PAPER, "system.prompts.random_views=3"]),
    "larger": (REFINER, [*PAPER, "system.prompts.views_deg=[[90,0],[180,0],[270,0]]"]),
    "more": (
        REFINER,
        [*PAPER, "system.prompts.views_deg=[[-135,0],[-90,0],[-45,0],[45,0],[90,0],[135,0],[0,-10],[0,30]]"],
    ),
    "without-coarse-target": (REFINER, [*PAPER, "system.prompts.coarse_target=false"]),
    "without-ema": (REFINER, ["data.context_probability=0", "system.ema_decay=1"]),
    # What is kept of it is what was trained, as of a Refiner.
    "longer-base": (BASE, ["system.encoder_steps=0", "system.ema_decay=0", "data.target_shown_probability=0"]),
}
# What the control shares with the Refiner's training, so that only the prompts differ.
SHARED = (
    "data.max_context",
    "data.context_probability",
    "system.max_snr_weight",
    "system.learning_rate",
    "system.warmup_steps",
    "system.constant_steps",
    "system.decay_steps",
    "trainer.max_steps",
    "trainer.val_check_interval",
    "seed",
)


def run_of(row: str, base: Path, overrides: list[str]) -> Run:
    from omegaconf import OmegaConf

    config, own = ROWS[row]
    if config == BASE:
        refiner = OmegaConf.load(ROOT / REFINER)
        shared = {key: OmegaConf.select(refiner, key) for key in SHARED}
        own = [*own, *(f"{key}={'null' if value is None else value}" for key, value in shared.items())]
    return Run(row, config, [f"system.init_weights={base}", *own, *overrides])


def main(argv: Sequence[str] | None = None) -> int:
    args, overrides = parser().parse_known_args(argv)
    return exit_code(lambda: train(args, overrides))


def train(args: argparse.Namespace, overrides: list[str]) -> None:
    refuse_what_is_no_key(overrides)
    if not (args.base / "unet").is_dir():
        raise UserError(f"{args.base}: no unet/ in it; name the folder of a trained Base")
    for row in args.only or ROWS:
        trained(run_of(row, args.base.resolve(), overrides), args.out.resolve())


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="folder of a trained Base")
    parser.add_argument("--out", type=Path, default=Path("outputs/ablations"))
    parser.add_argument("--only", action="append", choices=tuple(ROWS), help="this row, and others so named [all]")
    return parser
