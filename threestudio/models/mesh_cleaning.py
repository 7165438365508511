"""From the raw isosurface to the mesh that is kept: floaters off, smoothed, within the face budget, manifold."""

import fast_simplification
import numpy as np
from jaxtyping import Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from threestudio.mesh.mesh import Mesh


def remove_floaters(mesh: Mesh, smallest: float) -> Mesh:
    """Drop connected parts that have few faces: fewer than `smallest` if it is an integer, else than that fraction of
    the largest part's. The faces of a raw isosurface are of about one size, so that this compares areas."""
    part = _connected_parts(mesh)[mesh.faces[:, 0]]
    counts = np.bincount(part)
    needed = smallest if isinstance(smallest, int) else smallest * counts.max()
    kept = counts >= min(needed, counts.max())
    return _without_unused_vertices(mesh.positions, mesh.faces[kept[part]])


def smooth(mesh: Mesh, iterations: int) -> Mesh:
    """Taubin smoothing (1995): takes the staircase off without shrinking the object."""
    if iterations == 0:
        return mesh
    links = _edge_graph(mesh).maximum(_edge_graph(mesh).T)
    neighbours = np.maximum(links.sum(axis=1), 1.0)[:, None]
    positions = mesh.positions
    for weight in (0.5, -0.53) * iterations:
        positions = positions + weight * (links @ positions / neighbours - positions)
    return Mesh(positions, mesh.faces)


def decimate(mesh: Mesh, max_faces: int) -> Mesh:
    """Quadric edge collapse (Garland & Heckbert 1997) down to the budget; 0 keeps every face."""
    if max_faces == 0 or len(mesh.faces) <= max_faces:
        return mesh
    # The simplifier's tolerances are absolute: it needs coordinates of about the same size as their count.
    lower, extent = mesh.positions.min(axis=0), np.ptp(mesh.positions, axis=0).max()
    scale = np.sqrt(len(mesh.faces)) / max(extent, 1e-20)
    positions, faces = fast_simplification.simplify(
        ((mesh.positions - lower) * scale).astype(np.float32), mesh.faces.astype(np.int32), target_count=max_faces
    )
    solid = _without_fins(faces.astype(np.int64))
    return split_pinched_vertices(_without_unused_vertices(positions.astype(np.float64) / scale + lower, solid))


def _without_fins(faces: Int[np.ndarray, "face 3"]) -> Int[np.ndarray, "kept 3"]:
    """Drop pairs of faces on the same three vertices: edge collapse leaves them back to back, enclosing nothing."""
    _, which, count = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True, return_counts=True)
    return faces[count[which.reshape(-1)] == 1]


def split_pinched_vertices(mesh: Mesh) -> Mesh:
    """Where sheets touch in an edge or a vertex, give each sheet its own vertices, so that the mesh is manifold.

    Face corners that share a vertex belong together if one can walk between them over edges with exactly two faces.
    """
    corner_count = mesh.faces.size
    # Corner k of face f is number 3 f + k; its edge leads to the face's next corner.
    following = (np.arange(corner_count) // 3) * 3 + (np.arange(corner_count) + 1) % 3
    start, end = mesh.faces.reshape(-1), mesh.faces.reshape(-1)[following]
    key = np.minimum(start, end) * len(mesh.positions) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    _, first, count = np.unique(key[order], return_index=True, return_counts=True)
    one, other = order[first[count == 2]], order[first[count == 2] + 1]
    opposed = start[one] == end[other]
    one, other = one[opposed], other[opposed]
    rows, columns = np.concatenate([one, following[one]]), np.concatenate([following[other], other])
    links = sparse.coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(corner_count, corner_count))
    _, fan = connected_components(links, directed=False)
    _, example = np.unique(fan, return_index=True)
    return Mesh(mesh.positions[start[example]], fan.reshape(-1, 3).astype(np.int64))


def _connected_parts(mesh: Mesh) -> Int[np.ndarray, "vertex"]:
    return connected_components(_edge_graph(mesh), directed=False)[1].astype(np.int64)


def _edge_graph(mesh: Mesh) -> sparse.csr_array:
    """1 from the start to the end of every face's edges."""
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    size = len(mesh.positions)
    graph = sparse.coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size)).tocsr()
    graph.data[:] = 1.0
    return graph


def _without_unused_vertices(positions, faces) -> Mesh:
    used, renumbered = np.unique(faces, return_inverse=True)
    return Mesh(positions[used], renumbered.reshape(-1, 3).astype(np.int64))
