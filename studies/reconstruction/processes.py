"""Workers as processes of this machine."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from studies.reconstruction.engine import WorkerDied
from studies.reconstruction.job import FAILED, Job, Result

SPAWN = multiprocessing.get_context("spawn")  # a fork would share CUDA and threads with its parent


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    pipe: "Connection[Any, Any]"


@dataclass
class _Slot:
    number: int
    worker: _Worker | None = None
    job: Job | None = None


class Processes:
    """`gpus` are the names of this machine's CUDA devices, shared among the workers in turn."""

    def __init__(self, workers: int, threads: int, gpus: list[str]) -> None:
        self.threads, self.gpus = threads, gpus
        self.slots = [_Slot(number) for number in range(workers)]

    def has_room(self) -> bool:
        return any(slot.job is None for slot in self.slots)

    def start(self, job: Job) -> None:
        slot = next(slot for slot in self.slots if slot.job is None)
        if slot.worker is None or not slot.worker.process.is_alive():
            slot.worker = self._made_worker(slot.number)
        slot.job = job
        with contextlib.suppress(OSError):  # it died just now, which `ended` will find
            slot.worker.pipe.send(job)

    def running(self) -> list[Job]:
        return [slot.job for slot in self.slots if slot.job is not None]

    def ended(self, timeout: float) -> list[tuple[Job, Result | WorkerDied]]:
        busy = [(slot, slot.worker, slot.job) for slot in self.slots if slot.worker and slot.job]
        ready = wait([thing for _, worker, _ in busy for thing in (worker.pipe, worker.process.sentinel)], timeout)
        found = []
        for slot, worker, job in busy:
            if worker.pipe in ready or worker.process.sentinel in ready:
                found.append((job, outcome_of(worker)))
                slot.job = None
        return found

    def close(self, interrupted: bool = False) -> None:
        alive = [(slot.worker, slot.job) for slot in self.slots if slot.worker is not None]
        for worker, job in alive:
            worker.pipe.close()  # an idle worker ends by this
            if interrupted and job is not None:
                worker.process.terminate()
        try:
            for worker, _ in alive:
                worker.process.join()
        finally:
            for worker, _ in alive:
                worker.process.kill()

    def _made_worker(self, number: int) -> _Worker:
        """Its surroundings are read while it imports torch, so they have to be right before."""
        pipe, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=serve, args=(theirs, self.threads, os.getcwd()))
        surroundings = {"OMP_NUM_THREADS": str(self.threads)}
        if self.gpus:
            surroundings["CUDA_VISIBLE_DEVICES"] = self.gpus[number % len(self.gpus)]
        before = {name: os.environ.get(name) for name in surroundings}
        os.environ.update(surroundings)
        try:
            process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        theirs.close()
        return _Worker(process, pipe)


def outcome_of(worker: _Worker) -> Result | WorkerDied:
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        return WorkerDied(how_it_ended(worker.process.exitcode))


def how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    out_of_memory = "; the system does so when memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{out_of_memory}"


def serve(pipe: Connection, threads: int, folder: str) -> None:
    """A worker's life: jobs come in, results go out, until the pipe is closed."""
    from threestudio.utils.interruption import Interrupted, Interruption

    interruption = Interruption()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; it is the parent that passes it on
    signal.signal(signal.SIGTERM, interruption.handle)
    threading.Thread(target=stop_without_parent, daemon=True).start()
    worker = None
    try:
        while True:
            job = pipe.recv()
            try:
                if worker is None:
                    from studies.reconstruction.worker import Worker

                    worker = Worker(threads, folder, interruption)
                result = worker.reconstruct(job)
            except Exception as error:
                result = Result(FAILED, f"{type(error).__name__}: {error}")
            pipe.send(result)
    except (EOFError, OSError):
        return
    except Interrupted as stop:
        sys.exit(stop.exit_code)


def stop_without_parent() -> None:
    """As if asked to stop: the step is finished and saved, so that another batch can go on from there."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # workers are started by another process
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
