"""Ends a training whose rate is constant, from one of its checkpoints, while it may itself go on.

    python scripts/decay_training.py outputs/train-base/tiny/ckpts/last.ckpt --steps 5000 --out outputs/decayed

The rate falls over so many steps to 5 percent; OUT/decay holds the weights. Interrupted, it goes on when called again.
Further key=value change the run. (trainer.max_steps=1000000 system.decay_steps=0 make a training that is never done.)
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from studies.commands import exit_code
from studies.training.decay import decay_of
from studies.training.runs import refuse_what_is_no_key, trained


def main(argv: Sequence[str] | None = None) -> int:
    args, overrides = parser().parse_known_args(argv)
    return exit_code(lambda: decay(args, overrides))


def decay(args: argparse.Namespace, overrides: list[str]) -> None:
    refuse_what_is_no_key(overrides)
    out = args.out.resolve()
    trained(decay_of(args.checkpoint, args.steps, args.name, out, overrides), out)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--steps", type=int, required=True, help="of the decay; a fifth of those before is usual")
    parser.add_argument("--name", default="decay", help="[decay]")
    parser.add_argument("--out", type=Path, required=True)
    return parser
