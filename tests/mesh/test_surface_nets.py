import numpy as np
import pytest
import trimesh
from scipy import ndimage

from threestudio.mesh.surface_nets import surface_nets, well_composed
from threestudio.mesh.topology import Topology


def grid(size: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), axis=-1) - 0.5 * (size - 1)


@pytest.mark.parametrize("blur", [0.0, 0.7, 1.5])
def test_even_noise_gives_a_closed_mesh_of_two_faces_an_edge(blur):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(24, 24, 24)), blur)
    mesh = surface_nets(noise)
    solid = mesh.to_trimesh()
    assert Topology.of(mesh.faces, len(mesh.positions)).is_closed
    assert solid.is_winding_consistent
    assert 0 < solid.volume < 24**3


def test_each_vertex_has_one_fan_of_faces():
    """Edge by edge manifold is not enough: two cones may meet in a point."""
    noise = np.random.default_rng(1).normal(size=(16, 16, 16))
    mesh = surface_nets(noise)
    corners = np.bincount(mesh.faces.reshape(-1), minlength=len(mesh.positions))
    neighbours = {vertex: set() for vertex in range(len(mesh.positions))}
    for a, b in Topology.of(mesh.faces, len(mesh.positions)).edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    # Around a manifold vertex there are as many neighbours as faces; two fans would share none, so count them walked.
    for vertex in range(0, len(mesh.positions), 37):
        fan = mesh.faces[(mesh.faces == vertex).any(axis=1)]
        rim = {tuple(sorted(set(face) - {vertex})) for face in fan}
        start = next(iter(rim))
        walked, reached = {start}, set(start)
        while grown := {edge for edge in rim - walked if set(edge) & reached}:
            walked |= grown
            reached |= {end for edge in grown for end in edge}
        assert walked == rim
        assert len(neighbours[vertex]) == corners[vertex]


def test_a_ball_has_its_volume_and_even_triangles():
    mesh = surface_nets(20.0 - np.linalg.norm(grid(48), axis=-1)).to_trimesh()
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.005)
    lengths = mesh.edges_unique_length
    assert lengths.max() < 2.5
    assert np.quantile(lengths, 0.02) > 0.3


def test_samples_that_touch_in_an_edge_or_a_corner_are_joined():
    for offset in ((1, 1, 0), (1, 1, 1)):
        values = np.full((6, 6, 6), -1.0)
        values[2, 2, 2] = values[tuple(np.add(2, offset))] = 1.0
        joined = well_composed(values) > 0
        assert ndimage.label(joined)[1] == 1
        assert joined.sum() > 2
        assert trimesh.Trimesh(*_arrays(values), process=False).body_count == 1


def _arrays(values):
    mesh = surface_nets(values)
    return mesh.positions, mesh.faces


def test_what_touches_the_border_is_closed_there():
    assert surface_nets(np.ones((3, 4, 5))).to_trimesh().is_watertight
