"""Eq. 13: Base becomes `eta * Base + (1 - eta) * Refiner` after each step."""

import torch
from torch import nn


def warmed_up_decay(decay: float, step: int) -> float:
    """`min(decay, (1 + step) / (10 + step))`: a short run is not held back by a long memory of its start.

    A decay of 1 is no average at all, and is not warmed up: Base stays as it is.
    """
    return decay if decay == 1.0 else min(decay, (1.0 + step) / (10.0 + step))


@torch.no_grad()
def update_ema(average: nn.Module, online: nn.Module, decay: float) -> None:
    """In place: every parameter of `average` moves towards the parameter of `online` that has its name."""
    averages: list[torch.Tensor] = [parameter for parameter in average.parameters() if parameter.is_floating_point()]
    values = [parameter.detach() for parameter in online.parameters() if parameter.is_floating_point()]
    torch._foreach_lerp_(averages, values, 1.0 - decay)
