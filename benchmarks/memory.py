"""Memory that sampling the prompt views and the training steps take on the device, for a config.

    python benchmarks/memory.py [--config configs/cascade-zero123-xl.yaml] [--later 400] [--field-steps 200] [key=value]

Steps 0 and 1, when the field is fog, and two from `--later` on, when schedules have made the renderings larger and the
field is an object: it is fitted to the picture alone for `--field-steps` in between.

On a GPU: torch.cuda.max_memory_allocated. On a CPU: the bytes of every tensor alive at once, seen operation by
operation, which is what a GPU's allocator would hand out for the same operations; not what a kernel needs inside, nor
fragmentation, nor CUDA's own context (0.5 GB or so). Networks are counted by their parameters, as far as they stay on
the device (`system.guidance.vram_O`).
For configs of published weights, benchmarks/synthetic_checkpoint.py writes a file that stands in.
"""

import argparse
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sds_step import ROOT, Experiment, a_ball
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from threestudio.extensions import load_extensions
from threestudio.utils.config import load_config


class LiveTensors(TorchDispatchMode):
    """Bytes of the tensors that operations inside the block made and that are still alive; `peak` is the most."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, torch.Tensor):
                self.known.add(value.untyped_storage())  # in-place results and views of what was there before
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor) and value.untyped_storage() not in self.known:
                self._counted(value.untyped_storage())
        return result

    def _counted(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.known.add(storage)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.live -= size


@contextmanager
def peak_of(device: torch.device, found: list[float], counter: LiveTensors) -> Iterator[None]:
    """Appends the block's peak in bytes: on CUDA of everything, on a CPU of what was made since `counter` began."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield
        found.append(torch.cuda.max_memory_allocated(device))
        return
    counter.peak = counter.live
    with counter:
        yield
    found.append(counter.peak)


def size_of(*modules: torch.nn.Module) -> int:
    tensors = {tensor.data_ptr(): tensor.nbytes for module in modules for tensor in module.state_dict().values()}
    return sum(tensors.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/cascade-zero123-xl.yaml"))
    parser.add_argument("--later", type=int, default=400)
    parser.add_argument("--field-steps", type=int, default=200)
    arguments, overrides = parser.parse_known_args()
    load_extensions(ROOT / "custom")
    with tempfile.TemporaryDirectory() as folder:
        a_ball(Path(folder) / "ball.png")
        given = [f"data.image_path={folder}/ball.png", "system.guidance.cache_dir=null", "system.warm_start_steps=0"]
        experiment = Experiment(load_config(arguments.config, cli_args=[*given, *overrides]))
    report(experiment, arguments.later, arguments.field_steps)


def report(experiment: Experiment, later: int, field_steps: int) -> None:
    guidance, device = experiment.guidance, experiment.device
    model, freq = guidance.refiner, experiment.system.cfg.freq
    decoder = [part for part in (getattr(model.vae, name, None) for name in ("post_quant_conv", "decoder")) if part]
    visits = size_of(model.image_encoder, *decoder)
    stays = size_of(model) - visits
    field = size_of(experiment.system.geometry, experiment.system.background)
    dtype = guidance.models.residence.dtype
    print(f"networks ({dtype}): {gb(stays)} that a step runs, {gb(visits)} others; field: {gb(field)}", flush=True)
    held = stays + field + (0 if guidance.cfg.vram_O else visits)
    counter = LiveTensors()

    def measure(what: str, beside: float, functions: list[Callable[[], None]]) -> None:
        found: list[float] = []
        for function in functions:
            with peak_of(device, found, counter):
                function()
        total = max(found) + (0 if device.type == "cuda" else beside)
        print(f"{what}: {gb(total)} in all" + ("" if device.type == "cuda" else f", {gb(beside)} held"), flush=True)

    def steps(first: int) -> list[Callable[[], None]]:
        return [partial(experiment.step, index) for index in (first, first + 1)]

    measure("while prompt views are sampled", stays + visits + field, [experiment.sample_prompt_views])
    measure("steps 0 and 1", held, steps(0))
    guided, freq.ref_only_steps = freq.ref_only_steps, later
    with counter:
        for index in range(later - field_steps, later):
            experiment.step(index)
    freq.ref_only_steps = guided
    measure(f"steps {later} and {later + 1}", held, steps(later))


def gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
