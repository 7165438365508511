"""Which samples are worth a gradient: those that are neither transparent nor hidden.

The field is asked front to back, a few samples of every ray at a time, and no further along rays that are dark already:
of a solid object only the skin is ever evaluated.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from threestudio.models.renderers.ray_weights import DARK, visible
from threestudio.models.renderers.samples import RaySamples

FIRST_LAYER = 6

Density = Callable[[RaySamples], Float[Tensor, "sample"]]


@torch.no_grad()
def only_visible(samples: RaySamples, density: Density, n_rays: int, min_alpha: float) -> RaySamples:
    """The samples with an opacity of at least `min_alpha` before which light is left."""
    ranks, found = samples.ranks, torch.zeros_like(samples.starts)
    evaluated = torch.zeros_like(samples.rays, dtype=torch.bool)
    depth = found.new_zeros(n_rays)
    start, end = 0, FIRST_LAYER
    while True:
        in_layer = (ranks >= start) & (ranks < end)
        if not in_layer.any():
            break
        layer = torch.nonzero(in_layer & (depth < DARK).index_select(0, samples.rays))[:, 0]
        if len(layer):
            part = samples.where(layer)
            found[layer] = density(part).to(found)
            evaluated[layer] = True
            depth.index_add_(0, part.rays, found[layer] * (part.ends - part.starts))
        start, end = end, 2 * end
    seen = visible(samples, found, n_rays, min_alpha)
    return samples.where(torch.nonzero(seen & evaluated)[:, 0])
