"""Store, queue and runs together: what the page and the HTTP interface both call."""

import fcntl
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from threestudio.cost import Cost, cost_of
from threestudio.errors import UserError
from threestudio.look import Look, look_at
from threestudio.web.further import Further, save_further
from threestudio.web.jobs import Job, JobStore, State
from threestudio.web.limits import refuse_large, suffix_of
from threestudio.web.progress import Progress, progress_of
from threestudio.web.queue import Command, JobQueue
from threestudio.web.runs import EXPORT, Runs, refuse_settings

FOLDER = "jobs"  # in the outputs


class Studio:
    """`outputs` is where runs go; `command` is another than launch.py's in tests."""

    def __init__(
        self, outputs: Path, extra: Sequence[str] = (), command: Command | None = None, most_waiting: int = 64
    ) -> None:
        self.outputs = outputs.absolute()
        self.store = JobStore(self.outputs / FOLDER)
        self.lock = only_server_of(self.store.folder)
        self.runs = Runs(self.store, extra=extra)
        self.queue = JobQueue(self.store, command or self.runs.command, most_waiting)

    def start(self) -> "Studio":
        self.queue.start()
        return self

    def close(self) -> None:
        self.queue.close()
        self.lock.close()

    def submit(
        self, name: str, picture: BinaryIO, config: str, settings: Sequence[str], further: Sequence[Further] = ()
    ) -> Job:
        """Refused in one line, or waiting: what is wrong with picture or settings is said before anything waits."""
        self.queue.refuse_when_full()
        cfg = self.runs.checked(config, settings)
        steps = int(cfg.trainer.get("max_steps") or 0)

        def write(path: Path) -> None:
            with open(path, "wb") as file:
                shutil.copyfileobj(picture, file)
            self.look(path, cfg, name)
            for one, saved in zip(further, save_further(further, path.parent), strict=True):
                self.look(saved, cfg, one.name)

        return self.queue.added(self.store.add(name, suffix_of(name), write, config, settings, steps))

    def look(self, path: Path, cfg: Any, name: str) -> Look:
        """What would be done with the picture; its reasons call it as its owner does."""
        try:
            refuse_large(path)
            return look_at(path, cfg.data)
        except UserError as error:
            raise UserError(str(error).replace(str(path), name)) from None

    def export(self, identity: str, settings: Sequence[str]) -> Job:
        refuse_settings(settings, (EXPORT,))
        self.runs.checked(self.store.get(identity).config, settings)
        return self.queue.export(identity, settings)

    def progress(self, job: Job) -> Progress:
        if job.state == State.DONE:
            return Progress("done", 1.0, job.steps, job.steps, 0.0)
        return progress_of(self.store.log(job)) if job.state != State.WAITING else Progress("waiting")

    def cost(self, config: str, settings: Sequence[str]) -> Cost:
        return cost_of(self.runs.checked(config, settings), self.outputs)


def only_server_of(folder: Path) -> Any:
    """Two at once would work on the same jobs."""
    file = open(folder / ".server", "w")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UserError(f"{folder}: another server is at work there; choose another --outputs") from None
    return file
