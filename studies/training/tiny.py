"""The model that ships here, from nothing: Base, then its Refiner, then both in place of those in load/.

    python scripts/train_tiny.py [--out outputs/train-tiny] [--into load/cascade-zero123-tiny] [key=value ...]
    python scripts/train_tiny.py --device cuda --minutes 12 [--furniture sweethome3d-furniture_1.8-1_all.deb] [...]

The first trains on data/train and data/val, which `make train-tiny` renders before. The second does all of it, with the
rendering, in about so many minutes (training/timed.py), on a machine that has nothing but this checkout and, if real
objects are wanted, Debian's package. Interrupted, either goes on when called again; what was trained with other
settings than the configs' of today is refused. Further key=value go to both trainings.
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from studies.commands import exit_code
from studies.training.runs import Run, refuse_what_is_no_key, trained
from studies.training.timed import device_of, train_within

BASE, REFINER = "configs/train-base.yaml", "configs/train-refiner.yaml"
PARTS = ("base", "refiner")


def main(argv: Sequence[str] | None = None) -> int:
    args, overrides = parser().parse_known_args(argv)
    return exit_code(lambda: train(args, overrides))


def train(args: argparse.Namespace, overrides: list[str]) -> None:
    refuse_what_is_no_key(overrides)
    out, device = args.out.resolve(), device_of(args.device, os.cpu_count() or 1)
    if args.minutes is not None:
        pair = train_within(args.minutes, device, out, (BASE, REFINER), args.furniture, overrides)
    else:
        base = trained(Run("base", BASE, [*device.shared, *device.base, *overrides]), out) / "base"
        start = [*device.shared, *device.refiner, f"system.init_weights={base}"]
        pair = trained(Run("refiner", REFINER, [*start, *overrides]), out)
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


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/train-tiny"))
    parser.add_argument("--into", type=Path, default=Path("load/cascade-zero123-tiny"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--minutes", type=float, help="for all of it; the views are then rendered in OUT/data")
    parser.add_argument("--furniture", type=Path, help="Debian's package of real objects, or its unpacked folder")
    return parser
