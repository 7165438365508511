"""What would be done with a picture: how it is cut out and framed, from how high it was taken, what a run would cost.

Light enough to answer in two seconds: nothing of the models or of Lightning is imported.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import threestudio
from threestudio.cost import Cost, cost_of
from threestudio.elevation import Elevation, elevation_of
from threestudio.picture.picture import Picture, prepare_picture
from threestudio.picture.read_picture import open_picture
from threestudio.picture.white import white_share
from threestudio.utils.config import load_config

WHITE_SHARE = 0.02  # of the object: fewer nearly white pixels are not worth a line
_listening = threading.Lock()


@dataclass(frozen=True)
class Look:
    """`notes` are what was done about the picture and what is to be looked at, in plain words."""

    picture: Picture
    size: tuple[int, int]  # width and height of the file, in pixels
    notes: list[str]
    elevation: Elevation


def look_at(path: str | Path, data: Mapping[str, Any]) -> Look:
    """`data` is the block of a config; raises UserError where the picture cannot be used."""
    with open_picture(path) as image:
        size = image.size
    with messages() as said:
        picture = prepare_picture(
            path, data.get("object_ratio", 0.75), data.get("background_removal", "grabcut"), data.get("recenter", True)
        )
    notes = [message.removeprefix(f"{path}: ") for message in said]
    white = white_share(torch.from_numpy(picture.rgba).permute(2, 0, 1))
    if white > WHITE_SHARE:
        notes.append(f"{white:.0%} of the object is nearly white, which the small model takes for background")
    return Look(picture, size, notes, elevation_of(picture.rgba))


@contextmanager
def messages() -> Iterator[list[str]]:
    """What is said in the block, instead of being said."""
    handler, logger = _Kept(), threestudio.logger
    with _listening:
        before = logger.handlers, logger.level, logger.propagate
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.DEBUG)
        try:
            yield handler.said
        finally:
            logger.handlers, level, logger.propagate = before
            logger.setLevel(level)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def check(config: str, overrides: list[str]) -> None:
    """For `launch.py --check`: says it all, and writes the picture as it would be used."""
    cfg = load_config(config, cli_args=overrides)
    look = look_at(cfg.data.image_path, cfg.data)
    prepared = Path(cfg.exp_root_dir) / "check" / f"{Path(cfg.data.image_path).stem}.png"
    look.picture.save(prepared)
    for line in lines(look, cfg, cost_of(cfg, Path(cfg.exp_root_dir)), prepared):
        print(line)


def lines(look: Look, cfg: Any, cost: Cost, prepared: Path) -> list[str]:
    said = cfg.data.get("default_elevation_deg", "auto")
    elevation = f"{look.elevation}, by its looks" if said == "auto" else f"{said:g} degrees, as the settings say"
    steps, seed = cfg.trainer.get("max_steps"), cfg.seed
    rows = [
        ("picture", f"{cfg.data.image_path}, {look.size[0]} x {look.size[1]} pixels"),
        *(("", note) for note in look.notes),
        ("prepared", f"{prepared}, {len(look.picture.rgba)} pixels a side"),
        ("elevation", elevation),
        ("would run", f"{cfg.name}, {steps} steps, seed {seed}" if steps else cfg.name),
        ("would cost", str(cost)),
    ]
    return [f"{name:<12}{text}" for name, text in rows]
