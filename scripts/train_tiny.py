"""The model that ships here, from nothing: Base, then its Refiner, then both in place of those in load/.

    python scripts/train_tiny.py [--out outputs/train-tiny] [--into load/cascade-zero123-tiny] [key=value ...]

`make train-tiny` renders data/train and data/val first. Interrupted, it goes on when called again; what was trained
with other settings than the configs' of today is refused. Further key=value go to both trainings.
"""

import argparse
import shutil
import sys
from pathlib import Path

from cascade_zero123.errors import UserError
from training.runs import Run, refuse_what_is_no_key, trained

from threestudio.errors import UserError as HostError
from threestudio.utils.console import one_line

BASE, REFINER = "configs/train-base.yaml", "configs/train-refiner.yaml"
PARTS = ("base", "refiner")


def main(args: argparse.Namespace, overrides: list[str]) -> None:
    refuse_what_is_no_key(overrides)
    out = args.out.resolve()
    base = trained(Run("base", BASE, overrides), out) / "base"
    pair = trained(Run("refiner", REFINER, [f"system.init_weights={base}", *overrides]), out)
    for part in PARTS:
        install(pair / part, args.into / part)
    print(f"{args.into}: {', '.join(PARTS)} of {pair}")


def install(source: Path, place: Path) -> None:
    """Beside, then renamed: programs that run use the old weights from their files."""
    new, old = (place.with_name(f".{place.name}.{suffix}") for suffix in ("new", "old"))
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(source, new)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/train-tiny"))
    parser.add_argument("--into", type=Path, default=Path("load/cascade-zero123-tiny"))
    options, keys = parser.parse_known_args()
    try:
        main(options, keys)
    except (UserError, HostError, OSError) as error:
        print(one_line(error) or error, file=sys.stderr)
        sys.exit(2)
