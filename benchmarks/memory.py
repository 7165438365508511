"""Memory that sampling the prompt views and a training step take on the device, for a config.

    python benchmarks/memory.py [--config configs/cascade-zero123-xl.yaml] [--steps 2] [--first 400] [key=value ...]

On a GPU: torch.cuda.max_memory_allocated. On a CPU: the bytes of every tensor alive at once, seen operation by
operation, which is what a GPU's allocator would hand out for the same operations; not what a kernel needs inside, nor
fragmentation, nor CUDA's own context (0.5 GB or so). Networks are counted by their parameters, as far as they stay on
the device (`system.guidance.vram_O`). `--first` is the first step's number, since schedules make renderings larger.
For configs of published weights, benchmarks/synthetic_checkpoint.py writes a file that stands in.
"""

import argparse
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
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
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--first", type=int, default=400)
    arguments, overrides = parser.parse_known_args()
    load_extensions(ROOT / "custom")
    with tempfile.TemporaryDirectory() as folder:
        a_ball(Path(folder) / "ball.png")
        given = [f"data.image_path={folder}/ball.png", "system.guidance.cache_dir=null", "system.warm_start_steps=0"]
        experiment = Experiment(load_config(arguments.config, cli_args=[*given, *overrides]))
    report(experiment, arguments.first, arguments.steps)


def report(experiment: Experiment, first: int, steps: int) -> None:
    guidance, device = experiment.guidance, experiment.device
    model, spared = guidance.refiner, guidance.cfg.vram_O
    decoder = [part for part in (getattr(model.vae, name, None) for name in ("post_quant_conv", "decoder")) if part]
    visits = size_of(model.image_encoder, *decoder)
    stays = size_of(model) - visits
    field = size_of(experiment.system.geometry, experiment.system.background)
    sampling: list[float] = []
    training: list[float] = []
    counter = LiveTensors()
    with peak_of(device, sampling, counter):
        experiment.sample_prompt_views()
    for index in range(first, first + steps):
        with peak_of(device, training, counter):
            experiment.step(index)
    dtype = guidance.models.residence.dtype
    print(f"networks ({dtype}): {gb(stays)} that a step runs, {gb(visits)} others; field: {gb(field)}")
    if device.type == "cuda":
        print(f"while prompt views are sampled: {gb(max(sampling))} in all")
        print(f"steps {first} to {first + steps - 1}: {gb(max(training))} in all")
        return
    held = stays + field + (0 if spared else visits)
    during = stays + visits + field + max(sampling)
    print(f"while prompt views are sampled: {gb(max(sampling))} besides, {gb(during)} in all")
    print(f"steps {first} to {first + steps - 1}: {gb(max(training))} besides, {gb(held + max(training))} in all")


def gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
