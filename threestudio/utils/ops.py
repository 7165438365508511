"""Upstream's functions on tensors: its names and shapes, by what states the conventions here (cameras.py)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from threestudio import cameras
from threestudio.models.networks import get_activation

__all__ = [
    "binary_cross_entropy",
    "dot",
    "get_activation",
    "get_mvp_matrix",
    "get_projection_matrix",
    "get_ray_directions",
    "get_rays",
]


def dot(x: Float[Tensor, "*item axis"], y: Float[Tensor, "*item axis"]) -> Float[Tensor, "*item 1"]:
    """Along the last axis, which stays."""
    return (x * y).sum(-1, keepdim=True)


def binary_cross_entropy(input: Float[Tensor, "*item"], target: Float[Tensor, "*item"]) -> Float[Tensor, ""]:
    """Mean; unlike torch's it takes part in mixed precision. `input` within (0, 1)."""
    return -(target * input.log() + (1 - target) * (1 - input).log()).mean()


def get_ray_directions(
    H: int,
    W: int,
    focal: float | tuple[float, float],
    principal: tuple[float, float] | None = None,
    use_pixel_centers: bool = True,
) -> Float[Tensor, "h w 3"]:
    """In camera axes, of depth 1; `focal` in pixels, one or (x, y), which needs `principal` (x, y)."""
    if isinstance(focal, (int, float)):
        focal, principal = (focal, focal), (0.5 * W, 0.5 * H)
    if principal is None:
        raise ValueError("a focal length for each axis needs a principal point")
    return cameras.pixel_directions(H, W, focal, principal, 0.5 if use_pixel_centers else 0.0)


def get_rays(
    directions: Float[Tensor, "..."],
    c2w: Float[Tensor, "..."],
    keepdim: bool = False,
    noise_scale: float = 0.0,
    normalize: bool = True,
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Origins and directions in the world of `directions` [ray 3], [h w 3] or [view h w 3] by `c2w` [4 4] or one a ray
    or view; [ray 3], or with `keepdim` in the shape of the pictures."""
    if c2w.ndim == 3 and directions.ndim > 2:
        c2w = c2w[:, None, None]
    rays_d = (c2w[..., :3, :3] @ directions[..., None])[..., 0]
    rays_o = c2w[..., :3, 3].expand_as(rays_d)
    if noise_scale > 0:
        rays_o = rays_o + noise_scale * torch.randn(3, device=rays_o.device)
        rays_d = rays_d + noise_scale * torch.randn(3, device=rays_d.device)
    if normalize:
        rays_d = F.normalize(rays_d, dim=-1)
    return (rays_o, rays_d) if keepdim else (rays_o.reshape(-1, 3), rays_d.reshape(-1, 3))


def get_projection_matrix(
    fovy: Float[Tensor, "view"], aspect_wh: float, near: float, far: float
) -> Float[Tensor, "view 4 4"]:
    """With y downwards, as rasterisers that fill a picture from its last row want it; `fovy` in radians."""
    return cameras.rows_downwards(cameras.projection(torch.rad2deg(fovy), aspect_wh, near, far))


def get_mvp_matrix(c2w: Float[Tensor, "view rows 4"], proj_mtx: Float[Tensor, "view 4 4"]) -> Float[Tensor, "view 4 4"]:
    """World to clip coordinates; the last row of `c2w` may be left out."""
    last = c2w.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(c2w), 1, 4)
    return cameras.world_to_clip(torch.cat([c2w[:, :3], last], dim=1), proj_mtx)
