"""The models that an evaluation compares, and how their views are sampled: the options of its commands.

    --model NAME=FOLDER [--prompt-views NAME="[[45,0],[-45,0],[0,30]]"] [--without-coarse-target NAME]

FOLDER holds base/ and refiner/, or one Zero-1-to-3, which then is both (the frozen cascade of Table 3). Prompt views
are [azimuth, elevation] offsets from the source in degrees, or "random": others for each object.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from cascade_zero123.cascade.cache import weights_fingerprint
from cascade_zero123.cascade.stages import NEARBY_DEG, angle_pairs
from cascade_zero123.common.errors import UserError
from cascade_zero123.pipeline import CascadeZero123Pipeline
from cascade_zero123.zero123.weights.loading import weights_files

from threestudio.errors import nearest_name

RANDOM = "random"


@dataclass(frozen=True)
class Model:
    """`offsets_deg` of its prompt views, [azimuth, elevation]; None draws them for each object."""

    name: str
    folder: Path
    offsets_deg: tuple[tuple[float, float], ...] | None = NEARBY_DEG
    coarse_target: bool = True

    @property
    def base_folder(self) -> Path:
        inside = self.folder / "base"
        return inside if inside.is_dir() else self.folder

    @property
    def refiner_folder(self) -> Path:
        inside = self.folder / "refiner"
        return inside if self.base_folder != self.folder and inside.is_dir() else self.base_folder

    def load(self, device: str) -> CascadeZero123Pipeline:
        return CascadeZero123Pipeline.from_pretrained(self.folder, device=device)

    def base_fingerprint(self) -> str:
        return weights_fingerprint(weights_files(self.base_folder))

    def refiner_fingerprint(self) -> str:
        return weights_fingerprint(weights_files(self.refiner_folder))

    def prompt_views(self) -> Any:
        """As options state them."""
        return RANDOM if self.offsets_deg is None else [list(offset) for offset in self.offsets_deg]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("views", type=Path, metavar="VIEWS_DIR", help="packed views in the cascade layout")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER", help="may be repeated")
    parser.add_argument(
        "--prompt-views",
        action="append",
        default=[],
        metavar="NAME=OFFSETS",
        help='JSON, or "random" [the nearby ones]',
    )
    parser.add_argument("--without-coarse-target", action="append", default=[], metavar="NAME")
    parser.add_argument("--steps", type=int, default=25, help="DDIM steps of the views [25]")
    parser.add_argument("--scale", type=float, default=1.5, help="their guidance scale [1.5]")
    parser.add_argument("--prompt-steps", type=int, default=1, help="DDIM steps of prompts and coarse targets [1]")
    parser.add_argument("--prompt-scale", type=float, default=1.0, help="their guidance scale [1]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def chosen_models(args: argparse.Namespace) -> list[Model]:
    folders = dict(_named("--model", entry, "FOLDER") for entry in args.model)
    if not folders:
        raise UserError("no --model; name at least one: --model cascade=load/cascade-zero123-tiny")
    if len(folders) < len(args.model):
        raise UserError(f"--model {' '.join(args.model)}: a name is given twice")
    offsets = dict(_named("--prompt-views", entry, "OFFSETS") for entry in args.prompt_views)
    _refuse_unknown("--prompt-views", list(offsets), list(folders))
    _refuse_unknown("--without-coarse-target", args.without_coarse_target, list(folders))
    return [
        Model(
            name,
            Path(folder),
            _offsets(name, offsets[name]) if name in offsets else NEARBY_DEG,
            name not in args.without_coarse_target,
        )
        for name, folder in folders.items()
    ]


def check_counts(args: argparse.Namespace, *keys: str) -> None:
    for key in ("steps", "prompt_steps", *keys):
        if getattr(args, key) < 1:
            raise UserError(f"--{key.replace('_', '-')} {getattr(args, key)}; expected at least 1")


def _named(option: str, entry: str, what: str) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    if not (name and equals and value):
        raise UserError(f"{option} {entry}: expected NAME={what}")
    return name, value


def _refuse_unknown(option: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{option} {name}: no --model of this name; {nearest_name(name, known)}")


def _offsets(name: str, text: str) -> tuple[tuple[float, float], ...] | None:
    if text == RANDOM:
        return None
    try:
        given = json.loads(text)
    except ValueError:
        given = text
    if not isinstance(given, list):
        raise UserError(f'--prompt-views {name}={text}: expected "[[azimuth, elevation], ...]" in degrees, or {RANDOM}')
    return tuple(angle_pairs(f"--prompt-views {name}", given))
