"""The field's albedo at points of the surface."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

CHUNK = 1 << 16


def field_albedo(
    geometry: Any, material: Any, positions: Float[np.ndarray, "point 3"]
) -> Float[np.ndarray, "point 3"] | None:
    """RGB in [0, 1]; None if the material has no albedo."""
    albedo = np.empty((len(positions), 3))
    for start in range(0, len(positions), CHUNK):
        part = positions[start : start + CHUNK].astype(np.float32)
        points = torch.from_numpy(part).to(geometry.bbox.device)
        with torch.no_grad():
            exported = material.export(points=points, **geometry.export(points=points))
        if "albedo" not in exported:
            return None
        albedo[start : start + CHUNK] = exported["albedo"][..., :3].float().clamp(0.0, 1.0).cpu().numpy()
    return albedo
