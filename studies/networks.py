"""What the trainings of small networks share."""

import torch
from torch import nn


def in_channels_last(network: nn.Module) -> None:
    """Lays the weights of its convolutions out channel by channel, in place: faster on a CPU, the same numbers."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
