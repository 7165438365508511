"""Processes that load batches: a signal that reaches them too leaves them to the process that trains."""

import atexit
import multiprocessing
import os
import signal
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from types import FrameType


@dataclass
class StayWithTheTrainer:
    """For a loader's `worker_init_fn`. Ctrl-C and `kill` are for the trainer, which finishes its step first.

    When the trainer's process ends it stops its children by the same signal, and then waits for them; only then do they
    obey it.
    """

    over: Event = field(default_factory=multiprocessing.Event)

    def __post_init__(self) -> None:
        atexit.register(self.over.set)

    def __call__(self, worker: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self.leave)

    def leave(self, number: int, frame: FrameType | None) -> None:
        if self.over.is_set():
            os._exit(0)
