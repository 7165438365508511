"""What a person wants to know of a mesh before taking it home, in a line."""

import manifold3d
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from threestudio.mesh.budget import solid_of
from threestudio.mesh.crossings import crossing_edges
from threestudio.mesh.mesh import Mesh, TexturedMesh

SMALL_CHART = 8  # pixels of its larger side


def described(mesh: Mesh, scale: float = 1.0) -> str:
    """`23,976 faces, closed, manifold, 1 part, 0.58 x 0.44 x 0.81` (width, depth, height as the picture sees them)."""
    solid = solid_of(mesh)
    whole = solid.status() == manifold3d.Error.NoError
    depth, width, height = np.ptp(mesh.positions, axis=0) * scale
    parts = len(solid.decompose()) if whole else 0
    kind = f"closed, manifold, {parts} part{'s' * (parts != 1)}" if whole else "not closed and manifold"
    if whole and (crossings := crossing_edges(mesh)):
        kind += f", {crossings} edges cross the surface"
    size = f"{width:.2f} x {depth:.2f} x {height:.2f}" + (" mm" if scale != 1.0 else "")
    return f"{len(mesh.faces):,} faces, {kind}, {size}"


def small_charts(textured: TexturedMesh, texture_size: int) -> str:
    """How many charts there are, and the share of those that are too small to hold a drawing."""
    side = chart_sides(textured) * texture_size
    return f"{len(side)} charts, {np.mean(side < SMALL_CHART):.0%} of them under {SMALL_CHART} px"


def chart_sides(textured: TexturedMesh) -> np.ndarray:
    """The larger side of each chart's box, as a share of the texture's side."""
    faces, count = textured.uv_faces, len(textured.uv)
    rows, columns = faces[:, [0, 1]].reshape(-1), faces[:, [1, 2]].reshape(-1)
    links = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    charts, chart = connected_components(links, directed=False)
    low, high = np.full((charts, 2), np.inf), np.full((charts, 2), -np.inf)
    np.minimum.at(low, chart, textured.uv)
    np.maximum.at(high, chart, textured.uv)
    return (high - low).max(axis=1)
