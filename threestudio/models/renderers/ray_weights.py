"""The volume rendering integral (Max 1995).

w_i = T_i (1 - exp(-sigma_i d_i)) with T_i = exp(-sum_{j<i} sigma_j d_j), j along i's ray. On CUDA nerfacc does it for
packed samples; its sums over them have no CPU kernel. There they are differences of one running sum over all rays, in
float64, because the rounding of a long sum in float32 would not cancel. Samples in a table, as many on each ray, are
summed row by row.
"""

import math

import nerfacc
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from threestudio.models.renderers.samples import RaySamples

# Share of the light below which what lies behind counts as hidden.
MIN_TRANSMITTANCE = 1e-4
DARK = -math.log(MIN_TRANSMITTANCE)  # the optical depth at which no more is left


def weights(before: Float[Tensor, "*sample"], depth: Float[Tensor, "*sample"]) -> Float[Tensor, "*sample"]:
    """Of samples of this optical depth, with so much before them."""
    return torch.exp(-before) * -torch.expm1(-depth)


def before_in_rows(depth: Float[Tensor, "ray sample"]) -> Float[Tensor, "ray sample"]:
    """The sum over the samples before each one in its row."""
    return depth.cumsum(dim=1) - depth


def render_weights(samples: RaySamples, density: Float[Tensor, "sample"], n_rays: int) -> Float[Tensor, "sample"]:
    if density.is_cuda:
        found, _, _ = nerfacc.render_weight_from_density(
            samples.starts, samples.ends, density, ray_indices=samples.rays, n_rays=n_rays
        )
        return found
    depth = density * (samples.ends - samples.starts)
    return weights(optical_depth_before(samples, depth), depth)


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
    samples: RaySamples, weight: Float[Tensor, "sample"], values: Float[Tensor, "sample channel"], n_rays: int
) -> Float[Tensor, "ray channel"]:
    """Each ray's weighted sum."""
    return nerfacc.accumulate_along_rays(weight, values, ray_indices=samples.rays, n_rays=n_rays)


def optical_depth_before(samples: RaySamples, depth: Float[Tensor, "sample"]) -> Float[Tensor, "sample"]:
    """The sum over the samples before each one on its ray."""
    first = torch.arange(len(depth), device=depth.device) - samples.ranks
    return sums_since(depth, first)


def sums_since(values: Float[Tensor, "sample"], first: Int[Tensor, "sample"]) -> Float[Tensor, "sample"]:
    """Over the samples before each one, from its `first` on: that of its ray."""
    before = torch.cumsum(values.double(), dim=0) - values.double()
    return (before - before.index_select(0, first)).to(values.dtype)
