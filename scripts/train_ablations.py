"""Trains the rows of the paper's Table 3 and their control from one Base, one after the other.

    python scripts/train_ablations.py BASE [--out outputs/ablations] [--only nearby --only more] [key=value ...]

BASE is the folder of a trained Base; further key=value go to every row (say trainer.max_steps=500). A row that is done
is left as it is, an interrupted one goes on. Each ends as OUT/<row>/base and OUT/<row>/refiner, which
scripts/evaluate.py novel-views compares (its help names the options that "larger" and "more" need). The row "two
Zero-1-to-3 in cascade, frozen" is not trained: Base stands in for the Refiner.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from threestudio.errors import UserError
from threestudio.utils.console import one_line

ROOT = Path(__file__).parents[1]
REFINER, BASE = "configs/train-refiner.yaml", "configs/train-base.yaml"
# Prompts are what Base samples, never true views, and Base follows the Refiner (Eq. 13).
PAPER = ["data.context_probability=0", "system.ema_decay=0.999"]

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
    "longer-base": (BASE, ["system.encoder_steps=0"]),
}
# What the control shares with the Refiner's training, so that only the prompts differ.
SHARED = (
    "system.learning_rate",
    "system.warmup_steps",
    "system.constant_steps",
    "system.decay_steps",
    "trainer.max_steps",
    "trainer.val_check_interval",
    "seed",
)


def command(row: str, base: Path, out: Path, overrides: list[str]) -> list[str]:
    from omegaconf import OmegaConf

    config, own = ROWS[row]
    if config == BASE:
        refiner = OmegaConf.load(ROOT / REFINER)
        own = [*own, *(f"{key}={OmegaConf.select(refiner, key)}" for key in SHARED)]
    trial = out / "runs" / row
    last = trial / "ckpts" / "last.ckpt"
    return [
        *(sys.executable, "launch.py", "--config", config, "--train"),
        *("name=runs", f"tag={row}", "use_timestamp=false", f"exp_root_dir={out}", f"system.init_weights={base}"),
        *([f"resume={last}"] if last.exists() else []),
        *own,
        *overrides,
    ]


def finished(out: Path, row: str) -> Path:
    """The weights of the last step, copied beside those of the other rows."""
    steps = sorted((out / "runs" / row / "save/weights").glob("it*"), key=lambda path: int(path.name[2:]))
    if not steps:
        raise UserError(f"{out / 'runs' / row}: no weights; the training of this row did not come to its end")
    unfinished = out / f".{row}"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(steps[-1], unfinished)
    return unfinished.rename(out / row)


def main(args: argparse.Namespace, overrides: list[str]) -> None:
    wrong = [override for override in overrides if "=" not in override]
    if wrong:
        raise UserError(f"{wrong[0]}: expected key=value")
    if not (args.base / "unet").is_dir():
        raise UserError(f"{args.base}: no unet/ in it; name the folder of a trained Base")
    base, out = args.base.resolve(), args.out.resolve()
    for row in args.only or ROWS:
        if (out / row).is_dir():
            print(f"{row}: done, {out / row}")
            continue
        print(f"{row}: training")
        code = subprocess.run(command(row, base, out, overrides), cwd=ROOT).returncode
        if code:
            sys.exit(code)  # launch.py has said what is wrong
        print(f"{row}: {finished(out, row)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="folder of a trained Base")
    parser.add_argument("--out", type=Path, default=Path("outputs/ablations"))
    parser.add_argument("--only", action="append", choices=tuple(ROWS), help="this row, and others so named [all]")
    options, keys = parser.parse_known_args()
    try:
        main(options, keys)
    except (UserError, OSError) as error:
        print(one_line(error) or error, file=sys.stderr)
        sys.exit(2)
