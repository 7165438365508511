"""Trains the elevation network; each batch is drawn from (seed, step) alone."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from studies.elevation.scores import errors_deg
from studies.elevation.views import ViewSet, training_batch
from studies.networks import in_channels_last
from threestudio.elevation.network import CENTRES_DEG, ElevationNetwork

TARGET_DEG = 4.0  # standard deviation: how near an elevation counts as right
EVERY = 500  # steps between looks at what is held out


@dataclass(frozen=True)
class Training:
    """How the network is trained."""

    steps: int = 6000
    batch_size: int = 48
    learning_rate: float = 2e-3  # at its highest; a cosine to 0
    warm_up: int = 100  # steps
    weight_decay: float = 0.05
    average: float = 0.998  # of the weights that are kept, a step
    seed: int = 0  # another one goes on with other batches


def train(
    settings: Training, views: ViewSet, held_out: Sequence[ViewSet], start: ElevationNetwork | None = None
) -> ElevationNetwork:
    """The average of the weights over the last steps; `start` is gone on from."""
    torch.manual_seed(settings.seed)
    network = ElevationNetwork()
    if start is not None:
        network.load_state_dict(start.state_dict())
    in_channels_last(network)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    began, losses = time.monotonic(), []
    for step in range(settings.steps):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * rate(step, settings)
        losses.append(advance(network, optimizer, *training_batch(views, settings.batch_size, settings.seed, step)))
        follow(average, network, min(settings.average, (1 + step) / (10 + step)))
        if (step + 1) % EVERY == 0:
            found = ", ".join(f"{errors_deg(average, watched).mean():.2f}" for watched in held_out)
            minutes = (time.monotonic() - began) / 60
            print(
                f"step {step + 1}, {minutes:.1f} min: loss {sum(losses) / len(losses):.3f}, errors {found}", flush=True
            )
            losses.clear()
    return average


def advance(network: ElevationNetwork, optimizer: torch.optim.Optimizer, rgba: Tensor, elevation_deg: Tensor) -> float:
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(rgba.contiguous(memory_format=torch.channels_last))
    loss = F.cross_entropy(logits, target(elevation_deg))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def target(elevation_deg: Float[Tensor, "b"]) -> Float[Tensor, "b bin"]:
    """A bell around the truth: a neighbouring bin is nearly right."""
    away = (elevation_deg[:, None] - torch.tensor(CENTRES_DEG)) / TARGET_DEG
    return torch.softmax(-0.5 * away.square(), dim=1)


def rate(step: int, settings: Training) -> float:
    """Share of the highest learning rate."""
    return min(1.0, (step + 1) / settings.warm_up) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


@torch.no_grad()
def follow(average: ElevationNetwork, network: ElevationNetwork, keep: float) -> None:
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - keep)
