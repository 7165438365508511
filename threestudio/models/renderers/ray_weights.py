"""Volume rendering weights of packed samples (Max 1995).

w_i = T_i (1 - exp(-sigma_i d_i)) with T_i = exp(-sum_{j<i} sigma_j d_j), j along i's ray. On CUDA nerfacc does it;
its sums over packed samples have no CPU kernel. There they are differences of one running sum over all rays, in
float64, because the rounding of a long sum in float32 would not cancel.
"""

import nerfacc
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from threestudio.models.renderers.samples import RaySamples

# Share of the light below which what lies behind counts as hidden.
MIN_TRANSMITTANCE = 1e-4


def render_weights(samples: RaySamples, density: Float[Tensor, "sample"], n_rays: int) -> Float[Tensor, "sample"]:
    if density.is_cuda:
        weights, _, _ = nerfacc.render_weight_from_density(
            samples.starts, samples.ends, density, ray_indices=samples.rays, n_rays=n_rays
        )
        return weights
    depth = density * (samples.ends - samples.starts)
    return torch.exp(-optical_depth_before(samples, depth)) * -torch.expm1(-depth)


@torch.no_grad()
def visible(
    samples: RaySamples, density: Float[Tensor, "sample"], n_rays: int, min_alpha: float
) -> Bool[Tensor, "sample"]:
    """The samples that are neither transparent nor hidden."""
    if density.is_cuda:
        return nerfacc.render_visibility_from_density(
            samples.starts,
            samples.ends,
            density,
            ray_indices=samples.rays,
            n_rays=n_rays,
            early_stop_eps=MIN_TRANSMITTANCE,
            alpha_thre=min_alpha,
        )
    depth = density * (samples.ends - samples.starts)
    transmittance = torch.exp(-optical_depth_before(samples, depth))
    return (transmittance >= MIN_TRANSMITTANCE) & (-torch.expm1(-depth) >= min_alpha)


def composite(
    samples: RaySamples, weights: Float[Tensor, "sample"], values: Float[Tensor, "sample channel"], n_rays: int
) -> Float[Tensor, "ray channel"]:
    """Each ray's weighted sum."""
    return nerfacc.accumulate_along_rays(weights, values, ray_indices=samples.rays, n_rays=n_rays)


def optical_depth_before(samples: RaySamples, depth: Float[Tensor, "sample"]) -> Float[Tensor, "sample"]:
    """The sum over the samples before each one on its ray."""
    before = torch.cumsum(depth.double(), dim=0) - depth.double()
    first = torch.arange(len(depth), device=depth.device) - samples.ranks
    return (before - before.index_select(0, first)).to(depth.dtype)
