"""Pits in the side that the picture shows, filled.

A field explains a dark window or an eye as readily by a pit as by its colour, and the picture cannot be projected onto
the walls of a pit. The picture tells nothing of depth: where the surface as its camera sees it falls back within a
small disc and comes forward again all around, it is taken for flat. That is a grey opening of the depth map (Serra
1982): slopes, edges and whatever is wider than the disc stay, and so does what lies far behind, such as a body between
two legs. Rays that the picture says meet the object, and that pass through, are pits as well.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from threestudio.mesh.mesh import Mesh
from threestudio.models.isosurface import Solid
from threestudio.models.reference_view import FirstHits, ReferenceView

DEPTH_MAP_HEIGHT = 256  # pixels
WIDEST = 0.15  # of a pit: the disc's diameter as a fraction of the larger side of the object's box in the picture
DEEPEST = 0.3  # as a fraction of the object's diagonal
SKIN = 0.04  # thickness, likewise, of what closes a hole


def filled_pits(mesh: Mesh, view: ReferenceView) -> Solid | None:
    """The fillings; None if there is no pit."""
    hits = FirstHits(mesh, view)
    shape = depth_map_shape(view)
    depth = hits.depth_map(*shape)
    front = opened(depth, view_mask(view, shape), WIDEST)
    through = np.isinf(depth)
    back = np.where(through, front + SKIN * hits.extent, depth)
    pit = (front < depth) & (back < front + DEEPEST * hits.extent)
    if not pit.any():
        return None

    def inside(points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point"]:
        row, column, known = view.nearest_pixels(points, *shape)
        distance = np.linalg.norm(points - view.origin, axis=1)
        within = np.minimum(distance - front[row, column], back[row, column] - distance)
        return np.where(known & pit[row, column], within, -np.inf)

    return Solid(inside, np.stack([mesh.positions.min(axis=0), mesh.positions.max(axis=0)]))


def opened(depth: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], widest: float) -> Float[np.ndarray, "h w"]:
    """Nowhere larger than `depth`; without valleys narrower than `widest` of the mask. Infinite outside the mask."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.full_like(depth, np.inf)
    diameter = max(int(widest * max(np.ptp(rows), np.ptp(columns))) | 1, 3)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)).astype(bool)
    nearest = ndimage.minimum_filter(np.where(mask, depth, np.inf), footprint=disc, mode="constant", cval=np.inf)
    valleys_gone = ndimage.maximum_filter(nearest, footprint=disc, mode="constant", cval=np.inf)
    return np.where(mask, np.minimum(valleys_gone, depth), np.inf)


def depth_map_shape(view: ReferenceView) -> tuple[int, int]:
    height, width = view.rgba.shape[:2]
    return DEPTH_MAP_HEIGHT, round(DEPTH_MAP_HEIGHT * width / height)


def view_mask(view: ReferenceView, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    alpha = np.ascontiguousarray(view.rgba[..., 3], dtype=np.float32)
    return cv2.resize(alpha, shape[::-1], interpolation=cv2.INTER_AREA) > 0.5
