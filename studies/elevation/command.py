"""The network that guesses from how high a picture was taken: its training and its errors.

    python scripts/train_elevation.py --train data/train data/real-train --val data/val data/real-val \
        --test data/test data/real-test --into load/elevation

The folders are those of scripts/render_views.py --packed: views of objects with their true elevations. Half an hour on
one core. INTO/model.safetensors has the weights, INTO/scores.md their errors on 50 objects of each of --test.
"""

import argparse
from pathlib import Path

import torch

from studies.elevation.scores import report
from studies.elevation.trainer import Training, train
from studies.elevation.views import ViewSet
from threestudio.elevation.weights import load_elevation_network, save_elevation_network
from threestudio.utils.atomic import atomic_path


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)
    settings = Training(options.steps, options.batch_size, options.learning_rate, seed=options.seed)
    start = load_elevation_network(options.start) if options.start else None
    network = train(settings, ViewSet(options.train), [ViewSet([folder]) for folder in options.val], start)
    save_elevation_network(network, options.into / "model.safetensors")
    text = report(network, {folder.name: ViewSet([folder]) for folder in options.test})
    with atomic_path(options.into / "scores.md") as partial:
        partial.write_text(text)
    print(text)
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "val", "test"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights to go on from")
    parser.add_argument("--into", type=Path, default=Path("outputs/elevation"))
    parser.add_argument("--steps", type=int, default=Training.steps)
    parser.add_argument("--batch-size", type=int, default=Training.batch_size)
    parser.add_argument("--learning-rate", type=float, default=Training.learning_rate)
    parser.add_argument("--seed", type=int, default=Training.seed)
    return parser
