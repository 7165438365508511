"""What works on jobs: a number of workers, each a process with models of its own, here or on a Ray cluster."""

from typing import Protocol, runtime_checkable

from studies.reconstruction.job import Job, Result

ENGINES = ("processes", "ray")


class WorkerDied(Exception):
    """Its job is unfinished, and may be given to another; the message says how it died."""


@runtime_checkable
class Engine(Protocol):
    """A worker that died is replaced when the next job is started."""

    def has_room(self) -> bool:
        """Whether a worker is idle, or may still be made."""

    def start(self, job: Job) -> None: ...

    def running(self) -> list[Job]: ...

    def ended(self, timeout: float) -> list[tuple[Job, Result | WorkerDied]]:
        """Those that ended, as soon as there is one; none after `timeout` seconds."""

    def close(self, interrupted: bool = False) -> None:
        """Ends all workers; interrupted ones save what they have, where the engine can tell them to."""
