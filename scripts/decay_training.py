"""Ends a training whose rate is constant, from one of its checkpoints, while it may itself go on.

    python scripts/decay_training.py outputs/train-base/tiny/ckpts/last.ckpt --steps 5000 --out outputs/decayed

The rate falls over so many steps to 5 percent; OUT/decay holds the weights. Interrupted, it goes on when called again.
Further key=value change the run. (trainer.max_steps=1000000 system.decay_steps=0 make a training that is never done.)
"""

import argparse
import sys
from pathlib import Path

from cascade_zero123.common.errors import UserError
from training.decay import decay_of
from training.runs import refuse_what_is_no_key, trained

from threestudio.errors import UserError as HostError
from threestudio.utils.console import exit_code_of


def main(args: argparse.Namespace, overrides: list[str]) -> None:
    refuse_what_is_no_key(overrides)
    out = args.out.resolve()
    trained(decay_of(args.checkpoint, args.steps, args.name, out, overrides), out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--steps", type=int, required=True, help="of the decay; a fifth of those before is usual")
    parser.add_argument("--name", default="decay", help="[decay]")
    parser.add_argument("--out", type=Path, required=True)
    options, keys = parser.parse_known_args()
    try:
        main(options, keys)
    except (UserError, HostError, OSError) as error:
        sys.exit(exit_code_of(error))
