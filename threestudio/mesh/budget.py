"""Fewer faces, and still closed and manifold: edge collapses that keep the topology, by the library Manifold."""

import manifold3d
import numpy as np

import threestudio
from threestudio.mesh.mesh import Mesh

FINEST, COARSEST = 1e-6, 0.3  # of the mesh's extent: tolerances that are tried
ROUNDS = 16  # of bisection


def within_budget(mesh: Mesh, max_faces: int) -> Mesh:
    """At most `max_faces` faces, 0 for any number, by the smallest deviation that allows it.

    A mesh that cannot have so few is left as small as it gets, and a line says so. The mesh has to be closed, with two
    faces at each edge; what is not, is left as it is, and a line says that.
    """
    if max_faces == 0 or len(mesh.faces) <= max_faces:
        return mesh
    solid = solid_of(mesh)
    if solid.status() != manifold3d.Error.NoError:
        threestudio.warn(f"the surface is not closed and manifold: its {len(mesh.faces)} faces stay as they are")
        return mesh
    simplest = _simplified(solid, max_faces, float(np.ptp(mesh.positions, axis=0).max()))
    count = simplest.num_tri()
    if count > max_faces:
        threestudio.warn(f"system.exporter.max_faces={max_faces}: {count} faces stay; with fewer a part would vanish")
    return mesh_of(simplest)


def solid_of(mesh: Mesh) -> manifold3d.Manifold:
    return manifold3d.Manifold(manifold3d.Mesh64(mesh.positions, mesh.faces.astype(np.uint64)))


def mesh_of(solid: manifold3d.Manifold) -> Mesh:
    given = solid.to_mesh64()
    return Mesh(np.array(given.vert_properties[:, :3]), np.array(given.tri_verts, dtype=np.int64))


def _simplified(solid: manifold3d.Manifold, max_faces: int, extent: float) -> manifold3d.Manifold:
    """By bisection over the tolerance; a part that vanishes is too much of it."""
    finest, coarsest, parts = FINEST * extent, COARSEST * extent, len(solid.decompose())
    met, smallest = None, solid
    for _ in range(ROUNDS):
        middle = float(np.sqrt(finest * coarsest))
        tried = solid.simplify(middle)
        whole = len(tried.decompose()) == parts and not tried.is_empty()
        if whole and tried.num_tri() < smallest.num_tri():
            smallest = tried
        if whole and tried.num_tri() <= max_faces:
            met, coarsest = tried, middle
        elif whole:
            finest = middle
        else:
            coarsest = middle
    return smallest if met is None else met
