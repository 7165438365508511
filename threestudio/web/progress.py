"""How far a run has come, from the last lines that it said: `train 150/520, loss 0.12, 1:20 left`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

TAIL = 4000  # bytes of a log
LINE = re.compile(r"^(?P<stage>[a-z][a-z ]*?) (?P<done>\d+)/(?P<total>\d+)\b.*?(?:, (?P<left>[\d:]+) left)?$")
# The stages of a job, the shares of its time that they took (one demo picture, two cores), and what people call them.
STAGES = {
    "train": (0.74, "the shape forms"),
    "turntable": (0.05, "a turn around it is filmed"),
    "surface": (0.15, "the surface is fitted"),
}
STARTING, ENDING = "the models are loaded", "the texture is painted"


@dataclass(frozen=True)
class Progress:
    """`share` is of the whole job, 0 to 1; `seconds_left` None while nobody knows."""

    what: str = STARTING
    share: float = 0.0
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None


def progress_of(log: Path) -> Progress:
    """Of the last attempt; until it says something, where the one before was."""
    found = [match for line in last_lines(log) if (match := LINE.match(line)) and match["stage"] in STAGES]
    if not found:
        return Progress()
    stage, step, steps = found[-1]["stage"], int(found[-1]["done"]), int(found[-1]["total"])
    share, what = STAGES[stage]
    names = list(STAGES)
    before = sum(STAGES[name][0] for name in names[: names.index(stage)])
    made = before + share * step / max(steps, 1)
    if stage == names[-1] and step >= steps:
        what = ENDING
    return Progress(what, round(made, 4), step, steps, _seconds_left(found[-1]["left"], before + share, share))


def _seconds_left(left: str | None, end: float, share: float) -> float | None:
    """Of the stage as it says itself, and of those after it in proportion to their shares."""
    if left is None:
        return None
    seconds = 0.0
    for part in left.split(":"):
        seconds = 60 * seconds + int(part)
    return round(seconds * (1 + (1 - end) / share))


def last_lines(log: Path) -> list[str]:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read().decode(errors="replace").split("\n")
    except OSError:
        return []
