"""No two vertices in one place: programs that weld what coincides would make an edge of four faces of it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from threestudio.mesh.mesh import Mesh
from threestudio.mesh.topology import Topology

SAME = 1e-6  # of the mesh's extent; files hold 32 bits
SHARE = 0.1  # of the way to its neighbours that a vertex is moved
ROUNDS = 30


def with_vertices_apart(mesh: Mesh) -> Mesh:
    """Of vertices that fall together all but one are drawn towards their neighbours, until none does."""
    cell = SAME * float(np.ptp(mesh.positions, axis=0).max(initial=1e-12))
    if not _together(mesh.positions, cell).any():
        return mesh
    laplacian = Topology.of(mesh.faces, len(mesh.positions)).laplacian()
    degree = np.maximum(laplacian.diagonal(), 1.0)[:, None]
    positions = mesh.positions.copy()
    for _ in range(ROUNDS):
        together = _together(positions, cell)
        positions[together] -= SHARE * (laplacian @ positions / degree)[together]
    return replace(mesh, positions=positions)


def _together(positions: Float[np.ndarray, "vertex 3"], cell: float) -> Bool[np.ndarray, "vertex"]:
    """All but the first of the vertices in each cell of a fine grid."""
    _, first = np.unique(np.round(positions / cell), axis=0, return_index=True)
    together = np.ones(len(positions), dtype=bool)
    together[first] = False
    return together
