"""Trains the rows of the paper's Table 3 and their control from one Base, one after the other.

    python scripts/train_ablations.py BASE [--out outputs/ablations] [--only nearby --only more] [key=value ...]

BASE is the folder of a trained Base; further key=value go to every row (say trainer.max_steps=500). A row that is done
is left as it is, an interrupted one goes on, if its settings in OUT/<row>.json are today's. Each ends as OUT/<row>/base
and OUT/<row>/refiner, which scripts/evaluate.py novel-views compares (its help names the options that "larger" and
"more" need). The row "two Zero-1-to-3 in cascade, frozen" is not trained: Base stands in for the Refiner.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
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
    last = out / "runs" / row / "ckpts" / "last.ckpt"
    return [
        *(sys.executable, "launch.py", "--config", ROWS[row][0], "--train"),
        *("name=runs", f"tag={row}", "use_timestamp=false", f"exp_root_dir={out}"),
        *([f"resume={last}"] if last.exists() else []),
        *keys_of(row, base, overrides),
    ]


def keys_of(row: str, base: Path, overrides: list[str]) -> list[str]:
    """What this row changes in its config."""
    from omegaconf import OmegaConf

    config, own = ROWS[row]
    if config == BASE:
        refiner = OmegaConf.load(ROOT / REFINER)
        own = [*own, *(f"{key}={OmegaConf.select(refiner, key)}" for key in SHARED)]
    return [f"system.init_weights={base}", *own, *overrides]


def settings(row: str, base: Path, overrides: list[str]) -> dict[str, Any]:
    """All of its config by dotted key, as it is trained."""
    from omegaconf import OmegaConf

    merged = OmegaConf.merge(OmegaConf.load(ROOT / ROWS[row][0]), OmegaConf.from_cli(keys_of(row, base, overrides)))
    return dict(_leaves(OmegaConf.to_container(merged, resolve=True), ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))


def keep_settings(out: Path, row: str, ours: dict[str, Any]) -> None:
    """In OUT/<row>.json; a row of other settings is neither taken for done nor gone on with."""
    record = out / f"{row}.json"
    if (out / row).is_dir() or (out / "runs" / row / "ckpts" / "last.ckpt").exists():
        if not record.is_file():
            raise UserError(f"{record}: missing, so nobody knows how {row} was trained; choose another --out")
        theirs = json.loads(record.read_text(encoding="utf-8"))
        for key in sorted(ours.keys() | theirs):
            if ours.get(key) != theirs.get(key):
                found = f"{key} {theirs.get(key)}, not {ours.get(key)}"
                raise UserError(f"{record}: {row} was trained with other settings: {found}; choose another --out")
    with atomic_path(record) as unfinished:
        unfinished.write_text(json.dumps(ours, indent=1) + "\n", encoding="utf-8")


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
        keep_settings(out, row, settings(row, base, overrides))
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
