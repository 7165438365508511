"""The network that guesses a picture's relief, from nothing: its pictures, its training, its scores.

    python scripts/train_relief.py [--meshes OUT_OF_MAKE_REAL_OBJECTS] [--out outputs/relief] [--into load/relief]

Pictures of generated objects and of the real ones in --meshes are made once, in OUT/data. Interrupted, it goes on when
called again. In the end the weights are written to INTO/model.safetensors, and OUT/scores.md says how near they are to
the truth on objects that were never trained on, beside an inflated outline and a flat card.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

import torch

from studies.relief.batches import ReliefSet
from studies.relief.scores import best_inflation, card_guess, inflated_guess, network_guess, scored, table
from studies.relief.sets import made
from studies.relief.trainer import Trainer, Training
from threestudio.errors import UserError
from threestudio.relief.network import ReliefNetwork
from threestudio.relief.weights import load_relief_network, save_relief_network
from threestudio.utils.atomic import atomic_path


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        train(options)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", type=Path, help="folder with train, val and test [generated objects only]")
    parser.add_argument("--out", type=Path, default=Path("outputs/relief"))
    parser.add_argument("--into", type=Path, help="where the weights go [OUT]")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pictures")
    parser.add_argument("--threads", type=int, default=1, help="of the training")
    parser.add_argument("--every", type=int, default=250, help="steps between checkpoints")
    for field in fields(Training):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    return parser


def train(options: argparse.Namespace) -> None:
    """What is there already is not made again."""
    folders = {split: made_pictures(options, split) for split in ("train", "val")}
    trainer = Trainer(Training(**{field.name: getattr(options, field.name) for field in fields(Training)}), options.out)
    trainer.resume()
    held_out = {folder.name: ReliefSet([folder]) for folder in folders["val"]}
    trainer.run(ReliefSet(folders["train"]), held_out, options.every)
    path = (options.into or options.out) / "model.safetensors"
    save_relief_network(trainer.average, path)
    load_relief_network.cache_clear()
    text = "\n".join(compared(folder, load_relief_network(path)) for folder in made_pictures(options, "test"))
    with atomic_path(options.out / "scores.md") as partial:
        partial.write_text(text)
    print(text)


def made_pictures(options: argparse.Namespace, split: str) -> list[Path]:
    return made(options.meshes, split, options.out / "data", options.workers)


def compared(folder: Path, network: ReliefNetwork) -> str:
    """The network beside what needs no training, on one set."""
    views = ReliefSet([folder])
    factor = best_inflation(views)
    guesses = {"network": network_guess(network), f"inflated x {factor}": inflated_guess(factor), "card": card_guess}
    scores = {name: scored(views, guess) for name, guess in guesses.items()}
    return f"{folder.name}: {len(set(views.names))} objects, {len(views)} pictures\n\n{table(scores)}"
