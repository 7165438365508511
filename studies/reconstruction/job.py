"""One picture through one config: what is to be done, and what became of it.

OUT/<method>/<picture>/      the run's trial folder, as launch.py makes it: ckpts, configs, save
              log.txt        what the run said
              source.json    which picture it was made from
              result.json    done or failed; written last, so what has none is not finished
"""

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studies.metrics import Score
from studies.store import read_json, write_json
from threestudio.errors import UserError
from threestudio.utils.files import regular_file

DONE, FAILED = "done", "failed"
LOG, SOURCE, RESULT = "log.txt", "source.json", "result.json"


@dataclass(frozen=True)
class Job:
    """Plain data, since it travels to other processes and machines."""

    picture: str  # its name
    path: str
    method: str
    config: str
    overrides: tuple[str, ...]
    out: str
    clip: str | None = None  # a folder of CLIP

    @property
    def folder(self) -> Path:
        return Path(self.out) / self.method / self.picture

    def __str__(self) -> str:
        return f"{self.picture} ({self.method})"


@dataclass
class Result:
    """`files` are relative to the job's folder; `resumed_at_step` is 0 unless an earlier attempt was taken up, whose
    seconds are not in `seconds`."""

    state: str
    reason: str = ""
    seconds: float = 0.0
    memory_mb: float = 0.0  # peak, resident
    gpu_memory_mb: float = 0.0  # peak, allocated
    resumed_at_step: int = 0
    elevation_deg: float = 0.0  # of the camera that took the picture
    azimuth_deg: float = 0.0
    faces: int = 0
    vertices: int = 0
    scores: dict[str, Score] = field(default_factory=dict)  # by the metric's name
    notes: list[str] = field(default_factory=list)  # by what they were measured
    files: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return self.state == DONE


def write_result(job: Job, result: Result) -> None:
    write_json(job.folder / RESULT, dataclasses.asdict(result))


def read_result(job: Job) -> Result | None:
    """None where the picture is not finished."""
    kept = read_json(job.folder / RESULT)
    if kept is None:
        return None
    scores = {name: Score(**score) for name, score in kept.pop("scores").items()}
    return Result(**kept, scores=scores)


def digest(path: str | Path) -> str:
    """Of a picture's content; of nothing where it cannot be read, which its run will say."""
    try:
        with open(regular_file(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UserError):
        return ""
