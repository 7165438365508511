"""Two processes under DistributedDataParallel (gloo) step along the gradient of the whole batch."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from tiny_training import ROOT, config

WORKER = """
import os, sys
from datetime import timedelta
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, "tests")
import launch
from threestudio.extensions import load_extensions
load_extensions(launch.CUSTOM)
import threestudio
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.views import Cameras, Views
from tiny_zero123 import SIZE
from threestudio.utils.config import load_config
from pathlib import Path

folder, rank, world = Path(sys.argv[1]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
if world > 1:
    distributed.init_process_group("gloo", timeout=timedelta(seconds=120))
cfg = load_config(str(folder / "train-refiner-1.yaml"), n_gpus=1)
system = threestudio.find(cfg.system_type)(cfg.system).train()


def batch(rank):
    generator = draw_generator(0, "test", 0, rank)
    cameras = Cameras.from_tensor(30 * torch.rand(3, 3, 4, generator=generator))
    return Views(torch.rand(3, 4, 3, SIZE, SIZE, generator=generator), cameras)


def loss(rank):
    return system.denoising_loss(batch(rank), draw_generator(0, "objective", 0, rank))


class Step(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.system = system

    def forward(self, rank):
        return loss(rank)


if world > 1:
    step = DistributedDataParallel(Step())
    step(rank).backward()
else:
    ((loss(0) + loss(1)) / 2).backward()
gradients = {name: p.grad for name, p in system.model.named_parameters() if p.grad is not None}
if rank == 0:
    torch.save(gradients, folder / f"gradients-{world}.pt")
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(folder: Path, world: int) -> dict[str, torch.Tensor]:
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder)],
            cwd=ROOT,
            env={**shared, "RANK": str(rank), "WORLD_SIZE": str(world)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors
    return torch.load(folder / f"gradients-{world}.pt", weights_only=True)


def test_gradients_of_two_processes_are_those_of_the_whole_batch_in_one(tmp_path):
    config(tmp_path, "train-refiner", 1)
    alone, together = run(tmp_path, 1), run(tmp_path, 2)
    assert alone.keys() == together.keys() and len(alone) > 50
    largest = max(gradient.abs().max() for gradient in alone.values())
    assert largest > 1e-3
    for name, gradient in alone.items():
        assert torch.allclose(gradient, together[name], rtol=1e-4, atol=1e-6 * largest), name
