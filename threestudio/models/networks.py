"""The small networks of the field, and activations by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from threestudio.errors import UserError
from threestudio.models.encodings import get_encoding
from threestudio.utils.config import parse_structured
from threestudio.utils.ranges import one_of, within

__all__ = ["VanillaMLP", "get_activation", "get_encoding", "get_mlp", "trunc_exp"]

Activation = Callable[[Tensor], Tensor]


class _TruncExp(torch.autograd.Function):
    """exp, with its slope held at exp(15) so that one dense point cannot blow up a step (Instant-NGP)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x.clamp(max=15.0).exp()


def trunc_exp(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return _TruncExp.apply(x)


def _linear_to_srgb(x: Tensor) -> Tensor:
    """IEC 61966-2-1."""
    curved = 1.055 * x.clamp(min=0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(x > 0.0031308, curved, 12.92 * x).clamp(0.0, 1.0)


ACTIVATIONS: dict[str, Activation] = {
    "none": lambda x: x,
    "relu": F.relu,
    "exp": torch.exp,
    "shifted_exp": lambda x: torch.exp(x - 1.0),
    "trunc_exp": trunc_exp,
    "shifted_trunc_exp": lambda x: trunc_exp(x - 1.0),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "shifted_softplus": lambda x: F.softplus(x - 1.0),
    "silu": F.silu,
    "scale_-11_01": lambda x: 0.5 * x + 0.5,
    "lin2srgb": _linear_to_srgb,
}


def get_activation(name: str | None) -> Activation:
    """By name in any case; None is the identity."""
    key = (name or "none").lower()
    if key not in ACTIVATIONS:
        raise UserError(f"unknown activation {name}; known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[key]


@dataclass
class MLPConfig:
    """tiny-cuda-nn's keys."""

    # Its own fused networks compute the same function on CUDA only.
    otype: str = one_of("VanillaMLP", "FullyFusedMLP", "CutlassMLP")
    activation: str = "ReLU"
    output_activation: str | None = None
    n_neurons: int = within(64, 1, 4096)
    n_hidden_layers: int = within(1, 0, 64)


class VanillaMLP(nn.Module):
    """`n_hidden_layers` layers of `n_neurons`, without biases, so that empty space (features near 0) maps to near 0."""

    def __init__(self, n_input_dims: int, n_output_dims: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        cfg = parse_structured(MLPConfig, config)
        widths = [n_input_dims] + [cfg.n_neurons] * cfg.n_hidden_layers + [n_output_dims]
        self.layers = nn.ModuleList(
            nn.Linear(before, after, bias=False) for before, after in zip(widths, widths[1:], strict=False)
        )
        self.activation = get_activation(cfg.activation)
        self.output_activation = get_activation(cfg.output_activation)

    def forward(self, x: Float[Tensor, "point channel"]) -> Float[Tensor, "point output"]:
        # Small sums of small numbers: half precision would lose them.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
            for layer in self.layers[:-1]:
                x = self.activation(layer(x))
            return self.output_activation(self.layers[-1](x))


def get_mlp(n_input_dims: int, n_output_dims: int, config: Mapping[str, Any]) -> VanillaMLP:
    return VanillaMLP(n_input_dims, n_output_dims, config)
