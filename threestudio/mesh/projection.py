"""The pictures themselves, projected onto the parts of the surface that their cameras see.

A point takes the picture's colour with a weight in [0, 1], the field's with the rest. The weight is zero for what the
camera does not see, and falls smoothly where the picture says little about the surface or may be a little off it: at
grazing angles, and where one part of the object hides another. Beyond the picture's own outline its colours go on.
Where several pictures show a point the first one decides.

So that no step shows where one fades into the other, the field's colours are corrected by what they lack where the
picture is known: near it as the picture demands, farther away by the mean alone (gradient-domain blending, Perez et al.
2003, on the mesh).
"""

import cv2
import numpy as np
from jaxtyping import Float
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from threestudio.mesh.mesh import Mesh
from threestudio.mesh.reference_view import FirstHits, ReferenceView
from threestudio.mesh.topology import Topology

FADE_COSINES = (0.0, 0.25)  # between normal and view: no picture below the first, picture alone above the second
HIDING_MARGINS = (0.0, 0.004)  # the same for the distance to where a part hides another, in picture heights
DEPTH_JUMP = 0.04  # neighbouring pixels this far apart, as a fraction of the object, belong to different parts
DEPTH_MAP_HEIGHT = 256
RIM = 4  # pixels of that map in which a smooth surface turns away as steeply as at a jump
SURE_ALPHA = 0.8  # above it a pixel's colour is the object's own
LOCAL = 0.1  # world units over which a correction fades to the mean of all
DETAIL = 0.1  # a colour this far from what its surroundings lack is a mark on the object, and is not carried on
FAINT = 1e-3  # a pull that decides only where nothing else does


def project_picture(
    albedo: Float[np.ndarray, "point 3"],
    mesh: Mesh,
    positions: Float[np.ndarray, "point 3"],
    normals: Float[np.ndarray, "point 3"],
    view: ReferenceView,
) -> Float[np.ndarray, "point 3"]:
    """The field's albedo at points of the surface, with the pictures on the parts that they show."""
    colors, weight = pictures_on_surface(mesh, positions, normals, view)
    return (1.0 - weight) * albedo + weight * colors


def color_correction(
    albedo: Float[np.ndarray, "vertex 3"], mesh: Mesh, view: ReferenceView
) -> Float[np.ndarray, "vertex 3"]:
    """What the field's albedo at the vertices lacks beside the picture, spread over what the picture does not show.

    The mean is that of the picture to which the field was fitted: it says how far the field is off on all sides.
    A mark that ends at the picture's rim, an eye or a letter, is not carried around it: what is far from its
    surroundings counts little (one step of iteratively reweighted least squares with the Cauchy weight).
    """
    colors, weight = pictures_on_surface(mesh, mesh.positions, mesh.normals, view)
    if weight.sum() < 1.0:
        return np.zeros_like(albedo)
    lacking = colors - albedo
    fitted = colors
    if any(one.fitted is not None for one in view.all):
        fitted, _ = pictures_on_surface(mesh, mesh.positions, mesh.normals, view.as_fitted())
    mean = (weight * (fitted - albedo)).sum(axis=0) / weight.sum()
    topology = Topology.of(mesh.faces, len(mesh.positions))
    edge = np.linalg.norm(np.diff(mesh.positions[topology.edges], axis=1), axis=-1).mean()
    recall = float(edge / LOCAL) ** 2

    laplacian = topology.laplacian()

    def spread(trust: Float[np.ndarray, "vertex 1"], pull: float) -> Float[np.ndarray, "vertex 3"]:
        system = laplacian + sparse.diags_array(trust[:, 0] + pull)
        return spsolve(system.tocsc(), trust * lacking + pull * mean)

    surroundings = spread(recall * weight, FAINT * recall)
    away = np.linalg.norm(lacking - surroundings, axis=1, keepdims=True)
    return spread(weight / (1.0 + (away / DETAIL) ** 2), recall)


def pictures_on_surface(
    mesh: Mesh, positions: Float[np.ndarray, "point 3"], normals: Float[np.ndarray, "point 3"], view: ReferenceView
) -> tuple[Float[np.ndarray, "point 3"], Float[np.ndarray, "point 1"]]:
    """Of all pictures: each counts with what those before it leave of the weight."""
    total, weight = np.zeros((len(positions), 3)), np.zeros((len(positions), 1))
    for one in view.all:
        colors, certainty = picture_on_surface(mesh, positions, normals, one)
        share = (1.0 - weight) * certainty
        total += share * colors
        weight += share
    return total / np.maximum(weight, 1e-9), weight


def picture_on_surface(
    mesh: Mesh, positions: Float[np.ndarray, "point 3"], normals: Float[np.ndarray, "point 3"], view: ReferenceView
) -> tuple[Float[np.ndarray, "point 3"], Float[np.ndarray, "point 1"]]:
    """The picture's colour at points of the surface, and how far to trust it, in [0, 1]."""
    colors, weight = np.zeros((len(positions), 3)), np.zeros((len(positions), 1))
    towards_camera = view.c2w[:3, 3] - positions
    distance = np.linalg.norm(towards_camera, axis=1, keepdims=True)
    unit_normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    cosine = (unit_normals * towards_camera / distance).sum(axis=1)
    height, width = view.rgba.shape[:2]
    row, column = view.pixels(positions, height, width)
    inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    facing = np.flatnonzero((cosine > FADE_COSINES[0]) & inside)
    hits = FirstHits(mesh, view)
    seen = facing[hits.sees(positions[facing])]
    colors[seen] = _sample(with_colors_beyond(view.rgba), row[seen], column[seen])
    certainty = _sample(_distance_weight(hits, view)[..., None], row[seen], column[seen])
    weight[seen] = certainty * _smoothstep(cosine[seen, None], *FADE_COSINES)
    return colors, weight


def with_colors_beyond(rgba: Float[np.ndarray, "h w 4"]) -> Float[np.ndarray, "h w 3"]:
    """The colours of a picture with those at its object's outline continued over the background."""
    sure = rgba[..., 3] > min(SURE_ALPHA, float(rgba[..., 3].max()) - 1e-6)
    _, nearest = ndimage.distance_transform_edt(~sure, return_indices=True)
    return rgba[..., :3][tuple(nearest)]


def _distance_weight(hits: FirstHits, view: ReferenceView) -> Float[np.ndarray, "h w"]:
    """From 0 where a part of the mesh hides another to 1 away from there."""
    height, width = view.rgba.shape[:2]
    hiding = _hiding(hits, view)
    distance = ndimage.distance_transform_edt(~hiding) / hiding.shape[0]
    return _smoothstep(cv2.resize(distance, (width, height), interpolation=cv2.INTER_LINEAR), *HIDING_MARGINS)


def _hiding(hits: FirstHits, view: ReferenceView):
    """Pixels of the depth map whose neighbours lie on another part of the object."""
    height = DEPTH_MAP_HEIGHT
    width = round(height * view.rgba.shape[1] / view.rgba.shape[0])
    depth = hits.depth_map(height, width)
    met = np.isfinite(depth)
    farthest = ndimage.maximum_filter(np.where(met, depth, -np.inf), 3)
    nearest = ndimage.minimum_filter(np.where(met, depth, np.inf), 3)
    hiding = (farthest - nearest > DEPTH_JUMP * hits.extent) & ndimage.binary_erosion(met, iterations=RIM)
    # Without any the distance to it would be undefined.
    hiding[[0, -1]] = hiding[:, [0, -1]] = True
    return hiding


def _sample(image: Float[np.ndarray, "h w c"], row, column) -> Float[np.ndarray, "point c"]:
    channels = [
        ndimage.map_coordinates(image[..., channel], [row, column], order=1, mode="nearest")
        for channel in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def _smoothstep(value, low: float, high: float):
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
