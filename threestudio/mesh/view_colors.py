"""Colours of a surface from renderings of a field: what explains them best, in the least squares.

A field of soft density has no colour at a point; it has one as seen from outside. The geometry being fixed, each vertex
is looked up in every rendering that sees it, and the mean, weighted by how squarely it is seen, is the solution. The
background that a rendering is blended with is taken out of it first. Vertices that no rendering sees get the colours
around them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Bool, Float
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from threestudio.mesh.differentiable import Camera
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.topology import Topology

FAINTEST = 0.05  # opacity below which a rendering tells no colour
BEHIND = 0.02  # world units behind the first hit at which a point still counts as seen


@dataclass(frozen=True)
class FieldView:
    """A rendering of the field: colour times opacity, and opacity."""

    camera: Camera
    rgb: Float[np.ndarray, "h w 3"]
    opacity: Float[np.ndarray, "h w"]


@dataclass(frozen=True)
class RefinedSurface:
    """A fitted mesh, and the renderings of the field that tell its colours."""

    mesh: Mesh
    views: Sequence[FieldView]


def colors_from_views(mesh: Mesh, views: Sequence[FieldView]) -> Float[np.ndarray, "vertex 3"]:
    """RGB in [0, 1] at the vertices."""
    intersector = trimesh.ray.ray_pyembree.RayMeshIntersector(mesh.to_trimesh())
    total, weight = np.zeros_like(mesh.positions), np.zeros(len(mesh.positions))
    normals = mesh.normals
    for view in views:
        towards = view.camera.position - mesh.positions
        distance = np.linalg.norm(towards, axis=1)
        cosine = (normals * towards).sum(axis=1) / distance
        seen = np.flatnonzero(cosine > 0)
        seen = seen[_visible(intersector, mesh.positions[seen], view.camera)]
        rgb, opacity = _looked_up(view, mesh.positions[seen])
        known = np.where(opacity > FAINTEST, opacity * cosine[seen] ** 2, 0.0)
        total[seen] += known[:, None] * rgb / np.maximum(opacity, FAINTEST)[:, None]
        weight[seen] += known
    colors = total / np.maximum(weight, 1e-9)[:, None]
    return np.clip(_spread(colors, weight > 1e-3, mesh), 0.0, 1.0)


def _visible(intersector, points: Float[np.ndarray, "point 3"], camera: Camera) -> Bool[np.ndarray, "point"]:
    """Nothing lies before them; a little behind the surface counts too, since it stands in for the field."""
    towards = camera.position - points
    directions = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    return ~intersector.intersects_any(points + BEHIND * directions, directions)


def _looked_up(view: FieldView, points: Float[np.ndarray, "point 3"]):
    """Colour times opacity, and opacity, where points fall in a rendering."""
    place = view.camera.pixels_of(points)[:, ::-1].T - 0.5
    channels = [*np.moveaxis(view.rgb, -1, 0), view.opacity]
    sampled = [ndimage.map_coordinates(channel, place, order=1, mode="nearest") for channel in channels]
    return np.stack(sampled[:3], axis=1), sampled[3]


def _spread(
    values: Float[np.ndarray, "vertex c"], known: Bool[np.ndarray, "vertex"], mesh: Mesh
) -> Float[np.ndarray, "vertex c"]:
    """Harmonic over the vertices that are not known; the mean of all where a part has none that is."""
    unknown = np.flatnonzero(~known)
    if not len(unknown) or not known.any():
        return values
    laplacian = Topology.of(mesh.faces, len(mesh.positions)).laplacian()
    mean = values[known].mean(axis=0)
    rows = laplacian[unknown]
    system = (rows[:, unknown] + 1e-6 * sparse.eye_array(len(unknown))).tocsc()
    right = -(rows[:, np.flatnonzero(known)] @ values[known]) + 1e-6 * mean
    filled = values.copy()
    filled[unknown] = spsolve(system, right).reshape(len(unknown), -1)
    return filled
