"""Memory that sampling the prompt views and the training steps take on the device, for a config.

    python benchmarks/memory.py [--config configs/cascade-zero123-xl.yaml] [--later 400] [--field-steps 200] [key=value]

Steps 0 and 1, when the field is fog, and two from `--later` on, when schedules have made the renderings larger and the
field is an object: it is fitted to the picture alone for `--field-steps` in between. Without a warm start.

On a GPU: torch.cuda.max_memory_allocated. On a CPU: the bytes of every tensor alive at once, seen operation by
operation: about what a GPU would need if it ran the same kernels, without what a kernel needs inside, fragmentation
and CUDA's own context (0.5 GB or so). Networks are counted by their parameters, as far as they stay on the device
(`system.guidance.vram_O`). `system.guidance.precision=auto` picks what the measuring machine has.

One model has to be Base and Refiner, as in the configs for published weights, for which
benchmarks/synthetic_checkpoint.py writes a file that stands in.
"""

import argparse
import tempfile
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sds_step import ROOT, Experiment, a_ball
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from threestudio.errors import UserError
from threestudio.extensions import load_extensions
from threestudio.utils.config import load_config


@dataclass
class Counted:
    """Bytes of a storage: what it had before it was first seen, and what is counted of it now."""

    before: int
    now: int = 0


class LiveTensors(TorchDispatchMode):
    """Bytes of the tensors that operations inside the block made and that are still alive; `peak` is the most.

    Tensors that torch's operations did not make (from NumPy or a file) are not counted, as far as they do not grow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: weakref.WeakKeyDictionary[torch.UntypedStorage, Counted] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = storages((args, kwargs))
        for storage in given:
            self._of(storage, before=storage.nbytes())
        result = func(*args, **(kwargs or {}))
        for storage in given + storages(result):
            counted = self._of(storage, before=0)
            size = max(0, storage.nbytes() - counted.before)
            self.live += size - counted.now
            counted.now = size
        self.peak = max(self.peak, self.live)
        return result

    def _of(self, storage: torch.UntypedStorage, before: int) -> Counted:
        if storage not in self.known:
            self.known[storage] = Counted(before)
            weakref.finalize(storage, self._gone, self.known[storage])
        return self.known[storage]

    def _gone(self, counted: Counted) -> None:
        self.live -= counted.now


def storages(values: Any) -> list[torch.UntypedStorage]:
    return [value.untyped_storage() for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def peak_of(device: torch.device, counter: LiveTensors, function: Callable[[], None]) -> float:
    """Bytes: on CUDA of everything, on a CPU of what was made since `counter` was first used."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        function()
        return torch.cuda.max_memory_allocated(device)
    counter.peak = counter.live
    with counter:
        function()
    return counter.peak


def size_of(*modules: torch.nn.Module) -> int:
    tensors = {tensor.data_ptr(): tensor.nbytes for module in modules for tensor in module.state_dict().values()}
    return sum(tensors.values())


def report(experiment: Experiment, later: int, field_steps: int) -> None:
    from cascade_zero123.cascade.models import visitors

    guidance, device, freq = experiment.guidance, experiment.device, experiment.system.cfg.freq
    first, *_, last = guidance.models.choices
    if not first.is_same_as(last):
        raise UserError("Base and Refiner differ; name one with system.guidance.base.weights and refiner.weights")
    visits = size_of(*visitors(guidance.refiner))
    stays = size_of(guidance.refiner) - visits
    field = size_of(experiment.system.geometry, experiment.system.background)
    dtype = guidance.models.residence.dtype
    print(f"networks ({dtype}): {gb(stays)} that a step runs, {gb(visits)} others; field: {gb(field)}", flush=True)
    counter = LiveTensors()

    def measure(what: str, held: float, *functions: Callable[[], None]) -> None:
        peak = max(peak_of(device, counter, function) for function in functions)
        found = f"{gb(peak)} in all" if device.type == "cuda" else f"{gb(held + peak)} in all, {gb(held)} held"
        print(f"{what}: {found}", flush=True)

    step, held = experiment.step, stays + field + (0 if guidance.cfg.vram_O else visits)
    measure("while prompt views are sampled", stays + visits + field, experiment.sample_prompt_views)
    measure("steps 0 and 1", held, partial(step, 0), partial(step, 1))
    guided, freq.ref_only_steps = freq.ref_only_steps, later
    with nullcontext() if device.type == "cuda" else counter:
        for index in range(max(2, later - field_steps), later):
            step(index)
    freq.ref_only_steps = guided
    measure(f"steps {later} and {later + 1}", held, partial(step, later), partial(step, later + 1))


def gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/cascade-zero123-xl.yaml"))
    parser.add_argument("--later", type=int, default=400, help="number of a later step that is measured [400]")
    parser.add_argument("--field-steps", type=int, default=200, help="steps before it, without guidance [200]")
    arguments, overrides = parser.parse_known_args()
    load_extensions(ROOT / "custom")
    with tempfile.TemporaryDirectory() as folder:
        a_ball(Path(folder) / "ball.png")
        given = [f"data.image_path={folder}/ball.png", "data.default_elevation_deg=10"]
        given += ["system.guidance.cache_dir=null", "system.warm_start_steps=0"]
        experiment = Experiment(load_config(arguments.config, cli_args=[*given, *overrides]))
    report(experiment, arguments.later, arguments.field_steps)


if __name__ == "__main__":
    main()
