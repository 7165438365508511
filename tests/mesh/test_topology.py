import numpy as np
import pytest
import trimesh

from threestudio.mesh.topology import Topology


def topology(mesh: trimesh.Trimesh) -> Topology:
    return Topology.of(np.asarray(mesh.faces), len(mesh.vertices))


def test_a_closed_mesh_has_two_faces_at_each_edge_and_eulers_count():
    ball = topology(trimesh.creation.icosphere(subdivisions=2))
    assert ball.is_closed
    assert ball.vertex_count - len(ball.edges) + len(ball.faces) == 2
    for edge, faces in zip(ball.edges[:20], ball.edge_faces[:20], strict=True):
        assert all(set(edge) <= set(ball.faces[face]) for face in faces)


def test_an_edge_of_one_face_is_open():
    open_box = trimesh.creation.box()
    cut = Topology.of(np.asarray(open_box.faces)[1:], len(open_box.vertices))
    assert not cut.is_closed
    assert (cut.edge_faces[:, 1] < 0).sum() == 3


def test_three_faces_at_an_edge_are_refused():
    with pytest.raises(ValueError, match="1 edges have more than two faces"):
        Topology.of(np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]]), 5)


def test_the_laplacian_of_a_constant_is_zero_and_of_a_spike_its_degree():
    ball = topology(trimesh.creation.icosphere(subdivisions=1))
    laplacian = ball.laplacian()
    assert np.abs(laplacian @ np.ones(ball.vertex_count)).max() < 1e-12
    spike = np.eye(ball.vertex_count)[0]
    assert (laplacian @ spike)[0] == (ball.edges == 0).any(axis=1).sum()
