"""The field's colours as they are seen from outside the surface.

A field of soft density is seen through: the colour of a rendering comes from a layer, not from the level where the mesh
was cut, and the outermost, faint samples are often as pale as the background that they were fitted against. So each
texel is rendered: front to back along the inward normal, through the layer around the surface.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from threestudio.models.renderers.ray_weights import before_in_rows, weights

CHUNK = 1 << 18  # field evaluations at once
OUTSIDE, INSIDE = 0.05, 0.15  # where the layer begins and ends, in box half-sides from the surface
SAMPLES = 10


def field_albedo(
    geometry: Any,
    material: Any,
    positions: Float[np.ndarray, "point 3"],
    normals: Float[np.ndarray, "point 3"],
) -> Float[np.ndarray, "point 3"] | None:
    """RGB in [0, 1] at points of the surface with unit normals outwards; None if the material has no albedo."""
    half_side = float(geometry.bbox[1, 0] - geometry.bbox[0, 0]) / 2
    edges = torch.linspace(-OUTSIDE, INSIDE, SAMPLES + 1) * half_side
    depths, length = (0.5 * (edges[1:] + edges[:-1])).to(geometry.bbox), float(edges[1] - edges[0])
    albedo, at_once = np.empty((len(positions), 3)), CHUNK // SAMPLES
    for start in range(0, len(positions), at_once):
        point, normal = (
            torch.from_numpy(array[start : start + at_once].astype(np.float32)).to(geometry.bbox)
            for array in (positions, normals)
        )
        layer = (point[:, None] - depths[:, None] * normal[:, None]).clamp(geometry.bbox[0], geometry.bbox[1])
        color = _albedo(geometry, material, layer.view(-1, 3))
        if color is None:
            return None
        with torch.no_grad():
            density = geometry.forward_density(layer.view(-1, 3)).view(-1, SAMPLES)
        seen = composited(density, color.view(-1, SAMPLES, 3), length)
        albedo[start : start + at_once] = seen.clamp(0.0, 1.0).cpu().numpy()
    return albedo


def composited(
    density: Float[Tensor, "ray sample"], color: Float[Tensor, "ray sample 3"], length: float
) -> Float[Tensor, "ray 3"]:
    """Mean colour by the weights of volume rendering (Max 1995), front to back; without a background."""
    depth = density * length
    share = weights(before_in_rows(depth), depth) + 1e-8
    return (share[..., None] * color).sum(dim=1) / share.sum(dim=1, keepdim=True)


def _albedo(geometry: Any, material: Any, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point 3"] | None:
    with torch.no_grad():
        exported = material.export(points=points, **geometry.export(points=points))
    return exported["albedo"][..., :3].float() if "albedo" in exported else None
