"""The queue: one job after the other, each a process of its own that a thread here waits for.

Whatever ends the server, nothing is lost: a job that was at work or waiting does so again when the server starts, from
its last checkpoint. A process that outlived its server holds the lock of its job's folder; it is asked to stop first.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import threestudio
from threestudio.errors import UserError
from threestudio.web.jobs import Job, JobStore, State, Task

LOCK, PROCESS = ".lock", ".process"
PATIENCE_SECONDS = 60.0  # with a process that is asked to stop: it finishes a step and writes a checkpoint
SECONDS_BETWEEN_LOOKS = 0.2
STOPS = (-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT)  # exit codes
LAST_WORDS = 4000  # bytes of a log, of which the last line says why a run failed

Command = Callable[[Job, Path], Sequence[str]]


class JobQueue:
    """`command` says what is to be run for a job in its folder."""

    def __init__(self, store: JobStore, command: Command, most_waiting: int = 64) -> None:
        self.store, self.command, self.most_waiting = store, command, most_waiting
        self.wake, self.closing = threading.Event(), False
        self.process: subprocess.Popen[bytes] | None = None
        self.current: str | None = None
        self.thread = threading.Thread(target=self._serve, name="jobs", daemon=True)

    def start(self) -> None:
        """What an earlier server had at work waits again, before all others."""
        for job in self.store.newest_first():
            if job.state == State.RUNNING:
                end_orphan(self.store.place(job))
                self.store.change(job.id, state=State.WAITING, queued=min(job.queued, job.created))
        self.thread.start()

    def close(self) -> None:
        """What is at work saves itself and goes on when the next server starts."""
        self.closing = True
        self.wake.set()
        self._signal()
        if self.thread.is_alive():
            self.thread.join(PATIENCE_SECONDS)

    def refuse_when_full(self) -> None:
        if self.store.count(State.WAITING) >= self.most_waiting:
            raise QueueFull(f"{self.most_waiting} jobs are waiting already; try again when some are done")

    def added(self, job: Job) -> Job:
        self.wake.set()
        return job

    def stop(self, identity: str) -> Job:
        """At once where it is waiting; a running one saves itself first. Nothing, where it is at an end."""
        with self.store.lock:
            job = self.store.get(identity)
            if not job.under_way:
                return job
            job = self.store.change(identity, state=State.STOPPED)
            if self.current == identity:
                self._signal()
        return job

    def go_on(self, identity: str) -> Job:
        """A stopped or failed job, from its last checkpoint."""
        return self._again(identity, Task.TRAIN, (State.STOPPED, State.FAILED))

    def export(self, identity: str, settings: Sequence[str]) -> Job:
        """The mesh of a finished run once more, with other settings."""
        return self._again(identity, Task.EXPORT, (State.DONE,), export=tuple(settings))

    def ahead_of(self, job: Job) -> int:
        """How many come before a waiting job."""
        others = (other for other in self.store.newest_first() if other.id != job.id)
        return sum(
            other.state == State.RUNNING or (other.state == State.WAITING and other.queued < job.queued)
            for other in others
        )

    def _again(self, identity: str, task: Task, allowed: Sequence[State], **changes: object) -> Job:
        with self.store.lock:
            job = self.store.get(identity)
            if job.state not in allowed or self.current == identity:
                raise UserError(f"job {identity} is {job.state}; expected one that is {' or '.join(allowed)}")
            self.refuse_when_full()
            job = self.store.change(identity, state=State.WAITING, task=task, reason="", queued=time.time(), **changes)
        return self.added(job)

    def _serve(self) -> None:
        while not self.closing:
            self.wake.clear()
            job = self.store.next_waiting()
            if job is None:
                self.wake.wait()
                continue
            try:
                self._work_on(job)
            except Exception as error:  # one job's trouble is not the others'
                threestudio.warn(f"job {job.id}: {error}")
                self.store.change(job.id, state=State.FAILED, reason=" ".join(str(error).split())[:300])

    def _work_on(self, job: Job) -> None:
        place, started = self.store.place(job), time.monotonic()
        with held(place) as lock, open(self.store.log(job), "ab") as log:
            began = log.tell()
            with self.store.lock:
                if self.store.get(job.id).state != State.RUNNING:  # stopped in between
                    return
                self.process, self.current = self._spawn(job, place, lock, log), job.id
            code = self._outlasted()
        with self.store.lock:
            self.process = self.current = None
            state, reason = self._outcome(job, code, place, began)
            taken = time.monotonic() - started if job.task == Task.TRAIN else 0.0
            self.store.change(job.id, state=state, reason=reason, seconds=round(job.seconds + taken, 1))

    def _spawn(self, job: Job, place: Path, lock: IO[bytes], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """In a session of its own: Ctrl-C in the server's terminal is passed on once, not twice."""
        process = subprocess.Popen(
            list(self.command(job, place)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
        (place / PROCESS).write_text(str(process.pid))
        return process

    def _outlasted(self) -> int:
        """The exit code, when there is one; a process that does not stop when it is asked to is killed in the end."""
        assert self.process is not None
        told = time.monotonic()
        while (code := self.process.poll()) is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            stopping = self.closing or (self.current and self.store.get(self.current).state == State.STOPPED)
            if stopping and time.monotonic() - told > PATIENCE_SECONDS:
                self.process.kill()
            elif not stopping:
                told = time.monotonic()
        return code

    def _outcome(self, job: Job, code: int, place: Path, began: int) -> tuple[State, str]:
        if self.closing and code != 0:
            return State.RUNNING, ""  # as whoever starts next shall find it
        asked = code in STOPS or self.store.get(job.id).state == State.STOPPED
        reason = "" if code == 0 or asked else reason_of(code, place, began)
        if code == 0 or job.task == Task.EXPORT:  # whose run was done before, and still is
            return State.DONE, reason
        return State.STOPPED if asked else State.FAILED, reason

    def _signal(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()


class QueueFull(UserError):
    """Of a limit, not of what was asked for."""


def reason_of(code: int, place: Path, began: int) -> str:
    """The last line that this attempt said, which is how launch.py tells what the user can mend."""
    if code < 0:
        name = signal.Signals(-code).name
        memory = "; the system does so when memory runs out" if name == "SIGKILL" else ""
        return f"ended by {name}{memory}"
    with open(place / "log.txt", "rb") as file:
        file.seek(max(began, file.seek(0, os.SEEK_END) - LAST_WORDS))
        lines = file.read().decode(errors="replace").strip().split("\n")
    return lines[-1].replace(f"{place}{os.sep}", "")[:300] or f"ended with exit code {code}"


@contextlib.contextmanager
def held(place: Path) -> Iterator[IO[bytes]]:
    """The lock of a job's folder, which its process inherits: held for as long as either lives."""
    with open(place / LOCK, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file


def end_orphan(place: Path) -> None:
    """A process whose server is gone: asked to save itself, in the end made to stop."""
    end = time.monotonic() + PATIENCE_SECONDS
    told = False
    while not _free(place):
        process = _process(place)
        if process is None:
            raise UserError(f"{place}: in use by a process that is not known; end it, or choose another --outputs")
        with contextlib.suppress(ProcessLookupError):
            if not told:
                os.kill(process, signal.SIGTERM)
            elif time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
        told = True
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _free(place: Path) -> bool:
    with contextlib.suppress(BlockingIOError), held(place):
        return True
    return False


def _process(place: Path) -> int | None:
    try:
        return int((place / PROCESS).read_text())
    except (OSError, ValueError):
        return None
