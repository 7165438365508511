"""Vertices that fall together are parted, and nothing else moves."""

import numpy as np
import trimesh

from threestudio.mesh.apart import with_vertices_apart
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.topology import Topology


def ball() -> Mesh:
    solid = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    return Mesh(np.array(solid.vertices), np.array(solid.faces))


def test_a_mesh_without_such_vertices_is_returned_as_it_is():
    mesh = ball()
    assert with_vertices_apart(mesh) is mesh


def test_welding_what_coincides_in_32_bits_leaves_it_closed_and_manifold():
    mesh = ball()
    one, two = mesh.faces[0, :2]
    mesh.positions[two] = mesh.positions[one]
    mesh.positions[200] = mesh.positions[300] + 1e-9  # far apart on the surface
    parted = with_vertices_apart(mesh)
    welded, place = np.unique(parted.positions.astype(np.float32), axis=0, return_inverse=True)
    assert len(welded) == len(mesh.positions)
    assert Topology.of(place.reshape(-1)[parted.faces], len(welded)).is_closed
    moved = np.flatnonzero((parted.positions != mesh.positions).any(axis=1))
    assert len(moved) == 2
