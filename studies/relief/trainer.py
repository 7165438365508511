"""Trains the relief network: resumable at any checkpoint, each batch from (seed, step) alone."""

import math
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from studies.networks import in_channels_last
from studies.relief.batches import ReliefSet, training_batch
from studies.relief.objective import loss
from studies.relief.scores import network_guess, scored
from threestudio.errors import UserError
from threestudio.relief.network import ReliefNetwork
from threestudio.utils.atomic import atomic_path

CHECKPOINT = "last.pt"


@dataclass(frozen=True)
class Training:
    """How the network is trained; each field is an option of the command."""

    steps: int = 8000
    batch_size: int = 8
    learning_rate: float = 1e-3  # at its highest; a cosine to 0
    warm_up: int = 50  # steps
    weight_decay: float = 0.01
    average: float = 0.998  # of the weights that are kept, a step
    precision: str = "bf16"  # or fp32, which takes half as long again on a CPU with AVX-512
    seed: int = 0


class Trainer:
    """A training with its moving average, which keeps checkpoints in `folder` and goes on from the last one."""

    def __init__(self, settings: Training, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        torch.manual_seed(settings.seed)
        self.network = ReliefNetwork()
        in_channels_last(self.network)
        self.average = ReliefNetwork()
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )
        self.step = 0

    def resume(self) -> None:
        """From the folder's checkpoint, where there is one."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        if state["settings"] != asdict(self.settings):
            raise UserError(f"{path}: trained with other settings, {state['settings']}; choose another --out")
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    def save(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        with atomic_path(self.folder / CHECKPOINT) as partial:
            torch.save(state | {"settings": asdict(self.settings), "step": self.step}, partial)

    def run(self, views: ReliefSet, held_out: dict[str, ReliefSet], every: int) -> None:
        """To the last step; `every` so many a checkpoint, and a line of losses and of scores on what is held out."""
        losses: dict[str, list[float]] = defaultdict(list)
        start = time.monotonic()
        while self.step < self.settings.steps:
            for name, value in self.advance(views).items():
                losses[name].append(value)
            if self.step % every and self.step < self.settings.steps:
                continue
            self.save()
            means = ", ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in losses.items())
            print(f"step {self.step}, {(time.monotonic() - start) / 60:.1f} min: {means}", flush=True)
            losses.clear()
            for name, watched in held_out.items():
                found = scored(watched, network_guess(self.average))
                print(f"  {name}: " + ", ".join(f"{key} {v.mean():.3f}" for key, v in found.items()), flush=True)

    def advance(self, views: ReliefSet) -> dict[str, float]:
        """One step; its losses."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * self.rate()
        batch = training_batch(views, settings.batch_size, settings.seed, self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bf16"):
            predicted = self.network(batch.input.contiguous(memory_format=torch.channels_last))
        total, found = loss(predicted, batch)
        self.optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.follow()
        return found

    def rate(self) -> float:
        """Share of the highest learning rate."""
        warm = min(1.0, (self.step + 1) / self.settings.warm_up)
        return warm * 0.5 * (1 + math.cos(math.pi * self.step / self.settings.steps))

    @torch.no_grad()
    def follow(self) -> None:
        """The average goes after the network; faster at first, when there is little to average."""
        keep = min(self.settings.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)
