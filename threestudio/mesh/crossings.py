"""Where a surface goes through itself: each edge is followed as a ray, which should meet no face but its neighbours."""

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from threestudio.mesh.mesh import Mesh
from threestudio.mesh.topology import Topology

INSET = 1e-3  # of an edge's length: its ends touch the faces around them


def crossing_edges(mesh: Mesh) -> int:
    """How many edges pass through a face that they have no vertex in common with."""
    scene = rtcore_scene.EmbreeScene()
    vertices = np.ascontiguousarray(mesh.positions, dtype=np.float32)
    TriangleMesh(scene=scene, vertices=vertices, indices=mesh.faces.astype(np.int32))
    edges = Topology.of(mesh.faces, len(mesh.positions)).edges
    along = vertices[edges[:, 1]] - vertices[edges[:, 0]]
    hits = scene.run(vertices[edges[:, 0]] + np.float32(INSET) * along, along, output=True)
    met = np.flatnonzero((hits["primID"] >= 0) & (hits["tfar"] < 1.0 - 2.0 * INSET))
    corners = mesh.faces[hits["primID"][met]]
    shared = ((corners == edges[met, :1]) | (corners == edges[met, 1:])).any(axis=1)
    return int((~shared).sum())
