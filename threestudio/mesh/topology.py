"""Which faces meet in which edges: all that stays the same while the vertices of a mesh move."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from scipy import sparse


@dataclass(frozen=True)
class Topology:
    """Of a mesh in which at most two faces meet in an edge."""

    faces: Int[np.ndarray, "face 3"]
    edges: Int[np.ndarray, "edge 2"]  # each once, the smaller vertex first
    edge_faces: Int[np.ndarray, "edge 2"]  # the faces that meet there; -1 where there is no second one
    vertex_count: int

    @classmethod
    def of(cls, faces: Int[np.ndarray, "face 3"], vertex_count: int) -> "Topology":
        """Raises `ValueError` where three or more faces share an edge."""
        sides = np.sort(np.concatenate([faces[:, [1, 2]], faces[:, [2, 0]], faces[:, [0, 1]]]), axis=1)
        face = np.tile(np.arange(len(faces)), 3)
        edges, which, count = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
        if (count > 2).any():
            raise ValueError(f"{int((count > 2).sum())} edges have more than two faces")
        order = np.argsort(which.reshape(-1), kind="stable")
        first = np.cumsum(count) - count
        second = np.where(count == 2, face[order][np.minimum(first + 1, len(order) - 1)], -1)
        return cls(faces, edges, np.stack([face[order][first], second], axis=1), vertex_count)

    @property
    def is_closed(self) -> bool:
        """Whether every edge has exactly two faces."""
        return bool((self.edge_faces >= 0).all())

    def turned_edges(self, front: Bool[np.ndarray, "face"]) -> Int[np.ndarray, "turned"]:
        """Edges between a face that is marked and one that is not, and open edges of marked faces."""
        one, other = self.edge_faces.T
        return np.flatnonzero(front[one] != np.where(other >= 0, front[other], False))

    def laplacian(self) -> sparse.csr_array:
        """The combinatorial Laplacian [vertex vertex]: degree on the diagonal, -1 for each edge."""
        start, end = self.edges.T
        size = (self.vertex_count, self.vertex_count)
        links = sparse.coo_array((np.ones(len(start)), (start, end)), shape=size).tocsr()
        links = links + links.T
        return (sparse.diags_array(links.sum(axis=1)) - links).tocsr()
