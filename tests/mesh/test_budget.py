import numpy as np
import pytest
import trimesh

from threestudio.mesh.atlas import unwrap
from threestudio.mesh.budget import within_budget
from threestudio.mesh.crossings import crossing_edges
from threestudio.mesh.description import described, small_charts
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.topology import Topology


def as_mesh(given: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(given.vertices, dtype=np.float64), np.array(given.faces, dtype=np.int64))


RING_AND_BALL = as_mesh(
    trimesh.util.concatenate([trimesh.creation.torus(0.4, 0.1), trimesh.creation.icosphere(subdivisions=3, radius=0.2)])
)


@pytest.mark.parametrize("budget", [2000, 600, 300])
def test_budget_closedness_parts_and_holes_are_kept(budget):
    fewer = within_budget(RING_AND_BALL, budget)
    assert 0.5 * budget < len(fewer.faces) <= budget
    topology = Topology.of(fewer.faces, len(fewer.positions))
    assert topology.is_closed
    assert fewer.to_trimesh().body_count == 2
    assert topology.vertex_count - len(topology.edges) + len(topology.faces) == 2  # 0 of the ring, 2 of the ball


def test_zero_and_a_wide_budget_change_nothing():
    assert within_budget(RING_AND_BALL, 0) is RING_AND_BALL
    assert within_budget(RING_AND_BALL, 100_000) is RING_AND_BALL


def test_an_open_mesh_is_left_as_it_is_and_that_is_said(caplog):
    cut = Mesh(RING_AND_BALL.positions, RING_AND_BALL.faces[1:])
    assert within_budget(cut, 500) is cut
    assert "not closed and manifold" in caplog.text


def test_the_line_says_parts_and_size():
    assert described(RING_AND_BALL).endswith("closed, manifold, 2 parts, 1.00 x 1.00 x 0.40")
    assert described(RING_AND_BALL, 50.0).endswith("50.00 x 50.00 x 20.00 mm")
    assert "not closed and manifold" in described(Mesh(RING_AND_BALL.positions, RING_AND_BALL.faces[1:]))


def test_a_surface_that_goes_through_itself_is_found_and_said():
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.3)
    apart, through = (
        as_mesh(trimesh.util.concatenate([ball, ball.copy().apply_translation([x, 0, 0])])) for x in (1, 0.35)
    )
    assert crossing_edges(apart) == 0
    assert crossing_edges(through) > 20
    assert "edges cross the surface" in described(through) and "cross" not in described(apart)


def test_charts_are_counted_with_the_share_of_small_ones():
    textured = unwrap(as_mesh(trimesh.creation.box()), 64, {}, {})
    assert small_charts(textured, 64).startswith("6 charts, 0% of them under 8 px")
    assert "100% of them" in small_charts(textured, 8)
