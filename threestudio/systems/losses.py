"""The losses of image-to-3D, each a pure function of a rendering; `opacity` is [view h w 1] in [0, 1]."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from threestudio.models.renderers.ray_weights import sums_since
from threestudio.utils.ops import binary_cross_entropy

SPARSITY_FLOOR = 0.01  # keeps the square root differentiable at 0
ENTROPY_EDGE = 1e-3


def masked_color_loss(
    rendered: Float[Tensor, "view h w 3"],
    background: Float[Tensor, "view h w 3"],
    picture: Float[Tensor, "view h w 3"],
    mask: Bool[Tensor, "view h w 1"],
) -> Float[Tensor, ""]:
    """Mean squared error to the picture on the rendering's own background."""
    return F.mse_loss(rendered, torch.where(mask, picture, background))


def scaled_depth_loss(depth: Float[Tensor, "pixel"], reference: Float[Tensor, "pixel"]) -> Float[Tensor, ""]:
    """Mean squared error after the reference's best scale and shift, which a single picture does not tell."""
    with torch.no_grad():
        basis = torch.stack([reference, torch.ones_like(reference)], dim=-1)
        fitted = basis @ torch.linalg.lstsq(basis, depth[:, None]).solution
    return F.mse_loss(depth, fitted[:, 0])


def depth_order_loss(depth: Float[Tensor, "pixel"], reference: Float[Tensor, "pixel"]) -> Float[Tensor, ""]:
    """One minus Pearson's correlation."""
    return 1 - F.cosine_similarity(depth - depth.mean(), reference - reference.mean(), dim=0)


def normal_loss(rendered: Float[Tensor, "pixel 3"], reference: Float[Tensor, "pixel 3"]) -> Float[Tensor, ""]:
    """One minus the cosine; normal maps in [0, 1], the reference's with axes opposite to ours, as upstream has it."""
    return 1 - F.cosine_similarity(2 * rendered - 1, 1 - 2 * reference, dim=-1).mean()


def smoothness_loss(image: Float[Tensor, "view h w c"]) -> Float[Tensor, ""]:
    """Squared differences of neighbouring pixels."""
    down, right = image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1]
    return down.square().mean() + right.square().mean()


def orientation_loss(
    weights: Float[Tensor, "sample 1"],
    normal: Float[Tensor, "sample 3"],
    direction: Float[Tensor, "sample 3"],
    opacity: Float[Tensor, "view h w 1"],
) -> Float[Tensor, ""]:
    """Ref-NeRF (Verbin et al. 2022): visible normals do not point away from the camera; mean over the rays that hit."""
    away = (normal * direction).sum(-1, keepdim=True).clamp_min(0)
    return (weights.detach() * away.square()).sum() / (opacity > 0).sum().clamp_min(1)


def sparsity_loss(opacity: Float[Tensor, "view h w 1"]) -> Float[Tensor, ""]:
    """Little of a picture should be covered."""
    return (opacity.square() + SPARSITY_FLOOR).sqrt().mean()


def opacity_entropy_loss(opacity: Float[Tensor, "view h w 1"]) -> Float[Tensor, ""]:
    """Pixels should be opaque or empty: against fog and grey shells."""
    p = opacity.clamp(ENTROPY_EDGE, 1 - ENTROPY_EDGE)
    return binary_cross_entropy(p, p)


def distortion_loss(
    weights: Float[Tensor, "sample 1"],
    middles: Float[Tensor, "sample 1"],
    lengths: Float[Tensor, "sample 1"],
    rays: Int[Tensor, "sample"],
    ray_count: int,
) -> Float[Tensor, ""]:
    """Mip-NeRF 360 (Barron et al. 2022), Eq. 15: a ray's weight should sit in one place; mean over rays, world units.

    sum_ij w_i w_j |t_i - t_j| + 1/3 sum_i w_i^2 d_i. With samples sorted along each ray the double sum is
    2 sum_i w_i (t_i W_i - T_i), where W_i and T_i sum w_j and w_j t_j over the samples before i on the same ray.
    """
    w, t, d = weights[:, 0], middles[:, 0], lengths[:, 0]
    first = torch.searchsorted(rays, rays)  # of each sample's ray
    before_w, before_wt = sums_since(w, first), sums_since(w * t, first)
    between = 2 * (w * (t * before_w - before_wt)).sum()
    return (between + (w.square() * d).sum() / 3) / ray_count
