"""Samples the self-prompted views and coarse targets of training objects by Base, for Refiner training.

    python scripts/sample_prompt_bank.py WEIGHTS VIEWS_DIR OUT_DIR [--objects N] [--steps 5] [--workers 2]

WEIGHTS is a model folder, VIEWS_DIR packed views in the cascade layout (scripts/render_views.py --packed).
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from cascade_zero123.errors import UserError
from cascade_zero123.training.prompt_bank import FILES, sample_bank
from cascade_zero123.training.rendered_views import PackedViews
from cascade_zero123.zero123.weights import load_zero123
from tqdm import tqdm

from threestudio.utils.console import one_line

OBJECTS_AT_ONCE = 8


def sample(start: int, args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    torch.set_num_threads(1)
    objects = torch.arange(start, min(start + OBJECTS_AT_ONCE, args.objects))
    views, base = PackedViews(args.views), load_zero123(args.weights)
    return sample_bank(base, views, objects, args.coarse, args.steps, args.scale, args.seed)


def main(args: argparse.Namespace) -> None:
    args.objects = min(args.objects, len(PackedViews(args.views)))
    load_zero123(args.weights)  # a mistake shows here, before the workers start
    starts = range(0, args.objects, OBJECTS_AT_ONCE)
    with ProcessPoolExecutor(args.workers) as pool:
        parts = list(tqdm(pool.map(partial(sample, args=args), starts), total=len(starts), desc="prompt bank"))
    args.out.mkdir(parents=True, exist_ok=True)
    for name, arrays in zip(FILES, zip(*parts, strict=True), strict=True):
        temporary = args.out / f".{name}"
        np.save(temporary, np.concatenate(arrays))
        temporary.replace(args.out / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="folder of a Zero-1-to-3 (Base)")
    parser.add_argument("views", type=str, help="packed views")
    parser.add_argument("out", type=Path)
    parser.add_argument("--objects", type=int, default=6000)
    parser.add_argument("--coarse", type=int, default=3, help="coarse targets an object")
    parser.add_argument("--steps", type=int, default=5, help="DDIM steps")
    parser.add_argument("--scale", type=float, default=1.5, help="guidance scale")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    try:
        main(parser.parse_args())
    except (UserError, OSError) as error:
        print(one_line(error) or error, file=sys.stderr)
        sys.exit(2)
