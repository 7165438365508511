"""One task over many items, on all cores of this machine or of a Ray cluster.

On a cluster the checkout, the meshes and the output folder have to lie on a disk that all machines share, under the
same paths.
"""

import argparse
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tqdm import tqdm

from studies.reconstruction.engine import WorkerDied

RETRIES = 2  # of what was running on a machine that Ray has lost
IN_FLIGHT = 2  # items a worker: one at work, one that waits

Outcomes = Iterator[tuple[Any, Any]]
Task = Callable[[Any], Any]


def work(task: Task, items: Sequence[Any], options: argparse.Namespace) -> Outcomes:
    """Each item with what the task returned, or with WorkerDied, as they end; with a progress bar."""
    if not items:
        return
    if options.engine == "ray":
        outcomes = on_ray(task, items, options.workers, options.address)
    else:
        outcomes = in_processes(task, items, options.workers or os.cpu_count() or 1)
    yield from tqdm(outcomes, total=len(items), unit="item")


def in_processes(task: Task, items: Sequence[Any], workers: int) -> Outcomes:
    """In this process when one worker is asked for.

    A process that dies (of a mesh that fills the memory, say) takes the whole pool with it. What was running is then
    tried again one by one, each in a process of its own.
    """
    if workers == 1:
        yield from ((item, task(item)) for item in items)
        return
    waiting = deque(items)
    while waiting:
        running: dict[Any, Any] = {}
        try:
            with ProcessPoolExecutor(workers) as pool:
                while waiting or running:
                    while waiting and len(running) < IN_FLIGHT * workers:
                        future = pool.submit(task, waiting[0])  # fails where the pool has died
                        running[future] = waiting.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        outcome = future.result()
                        yield running.pop(future), outcome
        except BrokenProcessPool:
            yield from ((item, alone(task, item)) for item in running.values())


def alone(task: Task, item: Any) -> Any:
    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(task, item).result()
        except BrokenProcessPool:
            return WorkerDied("died twice; perhaps the memory does not suffice")


def on_ray(task: Task, items: Sequence[Any], workers: int | None, address: str | None) -> Outcomes:
    """`workers` None: as many as the cluster has cores, or this machine where `address` is None."""
    from studies.reconstruction.ray_cluster import connect, require_ray

    ray = require_ray()
    connect(ray, workers or os.cpu_count() or 1, 1, address)
    try:
        workers = workers or int(ray.cluster_resources()["CPU"])
        remote, shared = ray.remote(num_cpus=1, max_retries=RETRIES)(call), ray.put(task)
        waiting = deque(items)
        running: dict[Any, Any] = {}
        while waiting or running:
            while waiting and len(running) < IN_FLIGHT * workers:
                item = waiting.popleft()
                running[remote.remote(shared, item)] = item
            for reference in ray.wait(list(running), num_returns=1)[0]:
                yield running.pop(reference), _outcome(ray, reference)
    finally:
        ray.shutdown()


def call(task: Task, item: Any) -> Any:
    return task(item)


def _outcome(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None  # ours, or a full disk: no mesh is to blame
    except ray.exceptions.RayError as error:
        return WorkerDied(f"was lost ({' '.join(str(error).split())[:200]})")
