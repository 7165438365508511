"""A raw isosurface without what floats beside the object, and without its staircase."""

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
