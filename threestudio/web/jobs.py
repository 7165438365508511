"""A job: one picture through one config. All that is known of it lies in its folder, so that it outlives the server.

outputs/jobs/<id>/   the run's trial folder, as launch.py makes it: ckpts, configs, save
         job.json    what was asked for, and what became of it
         picture.*   as it was given
         cameras.json, further-*   more pictures of the object, where there are any (further.py)
         log.txt     what the run said
"""

import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import threestudio
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path

JOB, LOG = "job.json", "log.txt"
LONGEST_SLUG = 40  # characters of a picture's name in the name of its folder


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class Task(StrEnum):
    """What a job's process is to do."""

    TRAIN = "train"
    EXPORT = "export"


UNDER_WAY = (State.WAITING, State.RUNNING)


@dataclass(frozen=True)
class Job:
    """`settings` are key=value of the run, `export` those of the last export that was asked for by itself."""

    id: str
    name: str  # of the picture, as people called it
    picture: str  # its file in the folder
    config: str  # the name of a file in configs/, without its suffix
    settings: tuple[str, ...] = ()
    steps: int = 0  # of the training
    export: tuple[str, ...] = ()
    task: Task = Task.TRAIN
    state: State = State.WAITING
    reason: str = ""  # why it failed
    created: float = 0.0  # seconds since 1970
    queued: float = 0.0
    seconds: float = 0.0  # at work, all attempts together, but for further exports

    @property
    def under_way(self) -> bool:
        return self.state in UNDER_WAY


class JobStore:
    """The jobs of a folder. Every change is on disk before anybody is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.jobs: dict[str, Job] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(f"*/{JOB}")):
            job = read_job(path)
            if job is not None:
                self.jobs[job.id] = job

    def place(self, job: Job) -> Path:
        return self.folder / job.id

    def picture(self, job: Job) -> Path:
        return self.place(job) / job.picture

    def log(self, job: Job) -> Path:
        return self.place(job) / LOG

    def get(self, identity: str) -> Job:
        with self.lock:
            job = self.jobs.get(identity)
        if job is None:
            raise UserError(f"no job {identity:.80}")
        return job

    def newest_first(self) -> list[Job]:
        with self.lock:
            return sorted(self.jobs.values(), key=lambda job: job.created, reverse=True)

    def count(self, state: State) -> int:
        with self.lock:
            return sum(job.state == state for job in self.jobs.values())

    def add(
        self,
        name: str,
        suffix: str,
        write: Callable[[Path], object],
        config: str,
        settings: Sequence[str] = (),
        steps: int = 0,
    ) -> Job:
        """A waiting job; `write` puts the picture where it is told, and nothing is left where that fails."""
        now = time.time()
        identity = f"{slug(name)}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{secrets.token_hex(2)}"
        job = Job(identity, name, f"picture{suffix}", config, tuple(settings), steps, created=now, queued=now)
        self.place(job).mkdir()
        try:
            write(self.picture(job))
            with self.lock:
                self._keep(job)
        except BaseException:
            shutil.rmtree(self.place(job), ignore_errors=True)
            raise
        return job

    def change(self, identity: str, **changes: Any) -> Job:
        with self.lock:
            job = replace(self.get(identity), **changes)
            self._keep(job)
            return job

    def next_waiting(self) -> Job | None:
        """Marked as running: nobody else gets it."""
        with self.lock:
            waiting = [job for job in self.jobs.values() if job.state == State.WAITING]
            first = min(waiting, key=lambda job: job.queued, default=None)
            return None if first is None else self.change(first.id, state=State.RUNNING, reason="")

    def _keep(self, job: Job) -> None:
        with atomic_path(self.place(job) / JOB) as partial:
            partial.write_text(json.dumps(asdict(job), indent=1) + "\n", encoding="utf-8")
        self.jobs[job.id] = job


def read_job(path: Path) -> Job | None:
    """None for what is no job: it is said, and left alone."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: kept[field.name] for field in fields(Job) if field.name in kept}
        known |= {"task": Task(known["task"]), "state": State(known["state"])}
        known |= {name: tuple(known[name]) for name in ("settings", "export")}
        return replace(Job(**known), id=path.parent.name)
    except (OSError, ValueError, TypeError, KeyError) as error:
        threestudio.warn(f"{path}: no job that can be read ({' '.join(str(error).split())[:80]}); passed over")
        return None


def slug(name: str) -> str:
    """A picture's name as a part of a folder's: small letters, digits and hyphens alone."""
    plain = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")
    return plain[:LONGEST_SLUG].strip("-") or "picture"
