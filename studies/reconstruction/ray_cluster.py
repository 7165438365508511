"""Workers as Ray actors, on this machine or on a cluster.

On a cluster the checkout, the pictures and the output folder have to lie on a disk that all machines share, under the
same paths: what travels through Ray are jobs and results only.
"""

import os
from pathlib import Path
from typing import Any

from studies.reconstruction.engine import WorkerDied
from studies.reconstruction.job import Job, Result
from threestudio.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
STORE = 100_000_000  # bytes, of Ray's memory for what travels: nearly nothing


class RayCluster:
    """`address` None starts Ray here; `gpu_share` of one GPU for each worker, 0 for none."""

    def __init__(self, workers: int, threads: int, address: str | None, gpu_share: float) -> None:
        self.ray = require_ray()
        connect(self.ray, workers, threads, address)
        options = {"num_cpus": threads, "num_gpus": gpu_share, "max_restarts": 0}
        self.make = lambda: _actor_class(self.ray).options(**options).remote(threads, os.getcwd())
        self.workers = workers
        self.idle: list[Any] = []
        self.busy: dict[Any, tuple[Any, Job]] = {}  # by the reference to the result

    def has_room(self) -> bool:
        return len(self.busy) < self.workers

    def start(self, job: Job) -> None:
        actor = self.idle.pop() if self.idle else self.make()
        self.busy[actor.reconstruct.remote(job)] = actor, job

    def running(self) -> list[Job]:
        return [job for _, job in self.busy.values()]

    def ended(self, timeout: float) -> list[tuple[Job, Result | WorkerDied]]:
        ready, _ = self.ray.wait(list(self.busy), num_returns=1, timeout=timeout)
        found = []
        for reference in ready:
            actor, job = self.busy.pop(reference)
            outcome = self._outcome(reference)
            if isinstance(outcome, Result):
                self.idle.append(actor)
            else:
                self.ray.kill(actor)
            found.append((job, outcome))
        return found

    def close(self, interrupted: bool = False) -> None:
        """Ray's workers are ended at once; what they had begun goes on from its last checkpoint."""
        self.ray.shutdown()

    def _outcome(self, reference: Any) -> Result | WorkerDied:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayActorError as error:
            return WorkerDied(f"was lost ({' '.join(str(error).split())[:200]})")
        except self.ray.exceptions.RayError as error:
            return WorkerDied(f"failed ({' '.join(str(error).split())[:200]})")


def require_ray() -> Any:
    # Asks for nothing over the network, and leaves CUDA's devices alone where it hands out none.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError('--engine ray needs Ray: pip install -c constraints.txt -e ".[ray]"') from None
    return ray


def connect(ray: Any, workers: int, threads: int, address: str | None) -> None:
    surroundings = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    # On this machine as many cores as the workers ask for: how many are wise is the user's choice.
    started = {"num_cpus": workers * threads, "object_store_memory": STORE, "include_dashboard": False}
    here = {} if address else started
    try:
        ray.init(address=address, runtime_env={"env_vars": surroundings}, log_to_driver=False, **here)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"--address {address}: {' '.join(str(error).split())}") from None


def _actor_class(ray: Any) -> Any:
    from studies.reconstruction.worker import Worker

    return ray.remote(Worker)
