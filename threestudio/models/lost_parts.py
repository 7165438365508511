"""Parts that the picture shows and that the surface has lost, put back.

One level cuts the whole field, and a part that is thin in the picture may be a fog that nowhere reaches it, however
well the picture's camera sees it. Each ray of the picture that misses the mesh is followed through the field; the part
is put in the middle of the matter on the ray, and is made as thick as it is wide in the picture.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from threestudio.cameras import pixel_size
from threestudio.mesh.mesh import Mesh
from threestudio.models.isosurface import Density, Solid
from threestudio.models.reference_view import FirstHits, ReferenceView
from threestudio.models.visible_relief import depth_map_shape, view_mask

RIM = 3  # pixels by which the outlines of mesh and picture may differ without a part being lost
OVERLAP = 3  # pixels by which a part reaches into what is there, to be one with it
SMOOTHING = 6.0  # pixels, standard deviation, of where a part lies
SAMPLES = 128  # of the field along a ray
AT_ONCE = 1024  # rays
FAINTEST = 0.02  # opacity of a ray that tells where something lies


def lost_parts(mesh: Mesh, view: ReferenceView, density: Density, bbox: Float[Tensor, "2 3"]) -> Solid | None:
    """The parts; None if nothing is lost, or if the camera sees nothing that a part could belong to."""
    shape = depth_map_shape(view)
    mask, hits = view_mask(view, shape), FirstHits(mesh, view).depth_map(*shape)
    hit = np.isfinite(hits)
    middle, opacity = _middles(lost_pixels(mask, hit), view, density, bbox)
    lost = lost_pixels(mask & (opacity > FAINTEST), hit)
    if not (hit.any() and lost.any()):
        return None
    pixel = pixel_size(view.fovy_deg, shape[0])  # at distance 1
    width = ndimage.distance_transform_edt(np.pad(lost, 1))[1:-1, 1:-1] * pixel
    middle = _attached(middle, hits * (1.0 + width), pixel)
    half = width * middle

    def inside(points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point"]:
        row, column, known = view.nearest_pixels(points, *shape)
        distance = np.linalg.norm(points - view.origin, axis=1)
        within = half[row, column] - np.abs(distance - middle[row, column])
        return np.where(known & lost[row, column], within, -np.inf)

    centres = view.origin + view.directions(*shape)[lost] * middle[lost][:, None]
    widest = half[lost].max()
    return Solid(inside, np.stack([centres.min(axis=0) - widest, centres.max(axis=0) + widest]))


def lost_pixels(mask: Bool[np.ndarray, "h w"], hit: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Those of the mask that no hit is near, and what lies between them and the hits."""
    around = np.ones((3, 3), dtype=bool)
    far = mask & ~ndimage.binary_dilation(hit, around, iterations=RIM)
    return mask & ndimage.binary_dilation(far, around, iterations=RIM + OVERLAP)


def _middles(
    lost: Bool[np.ndarray, "h w"], view: ReferenceView, density: Density, bbox: Float[Tensor, "2 3"]
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Smooth distances from the camera, and the opacities of the rays; 0 where nothing is lost."""
    distance, opacity = np.zeros(lost.shape), np.zeros(lost.shape)
    rays = view.directions(*lost.shape)[lost]
    parts = [_followed(view.origin, rays[i : i + AT_ONCE], density, bbox) for i in range(0, len(rays), AT_ONCE)]
    if parts:
        distance[lost], opacity[lost] = np.concatenate(parts, axis=1)
    weight = ndimage.gaussian_filter(opacity, SMOOTHING)
    return ndimage.gaussian_filter(distance * opacity, SMOOTHING) / np.maximum(weight, 1e-6), opacity


def _attached(
    middle: Float[np.ndarray, "h w"], there: Float[np.ndarray, "h w"], pixel: float
) -> Float[np.ndarray, "h w"]:
    """No steeper than 45 degrees from the nearest pixel where the surface tells the distance: nothing floats off."""
    away, nearest = ndimage.distance_transform_edt(~np.isfinite(there), return_indices=True)
    known = there[tuple(nearest)]
    return np.clip(middle, known - away * pixel * known, known + away * pixel * known)


def _followed(
    origin: Float[np.ndarray, "3"],
    directions: Float[np.ndarray, "ray 3"],
    density: Density,
    bbox: Float[Tensor, "2 3"],
) -> Float[np.ndarray, "2 ray"]:
    """The distances at which half of the matter on each ray lies before it, and the rays' opacities."""
    lower, upper = bbox
    middle = 0.5 * (lower + upper)
    start, reach = torch.as_tensor(origin).to(middle), float((upper - middle).norm())
    edges = torch.linspace(-reach, reach, SAMPLES + 1).to(middle) + (start - middle).norm()
    at, length = 0.5 * (edges[1:] + edges[:-1]), float(edges[1] - edges[0])
    points = start + at[:, None] * torch.as_tensor(directions).to(middle)[:, None]
    inside = ((points >= lower) & (points <= upper)).all(dim=-1)
    depth = torch.zeros(inside.shape).to(middle)
    with torch.no_grad():
        depth[inside] = density(points[inside])[:, 0].float() * length
    so_far = depth.cumsum(dim=1)
    half = at[(so_far < 0.5 * so_far[:, -1:]).sum(dim=1)]
    return torch.stack([half, 1.0 - (-so_far[:, -1]).exp()]).cpu().numpy()
