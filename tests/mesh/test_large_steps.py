import numpy as np
import torch
import trimesh

from threestudio.mesh.large_steps import SmoothPositions, UniformAdam
from threestudio.mesh.topology import Topology

BALL = trimesh.creation.icosphere(subdivisions=2)
TOPOLOGY = Topology.of(np.asarray(BALL.faces), len(BALL.vertices))


def test_the_positions_that_go_in_come_out():
    smooth = SmoothPositions(np.asarray(BALL.vertices), TOPOLOGY, 10.0)
    assert np.allclose(smooth.positions().numpy(), BALL.vertices, atol=1e-6)


def test_the_gradient_of_u_is_the_transposed_solve():
    """<M^-1 g, d> = <g, M^-1 d> for any g and d."""
    smooth = SmoothPositions(np.asarray(BALL.vertices), TOPOLOGY, 10.0)
    g, d = torch.rand(2, TOPOLOGY.vertex_count, 3, generator=torch.Generator().manual_seed(0)).double()
    before = smooth.positions().double()
    smooth.u += d
    moved = smooth.positions().double() - before
    assert torch.isclose((smooth.gradient_of_u(g) * d).sum(), (g * moved).sum(), rtol=1e-4)


def test_a_pull_at_one_vertex_moves_those_around_it_too_and_less():
    smooth = SmoothPositions(np.asarray(BALL.vertices), TOPOLOGY, 10.0)
    pull = torch.zeros(TOPOLOGY.vertex_count, 3)
    pull[0, 0] = 1.0
    moved = smooth.gradient_of_u(pull)[:, 0]
    beside = TOPOLOGY.edges[TOPOLOGY.edges[:, 0] == 0, 1]
    assert moved[0] == moved.max()
    assert (moved[beside] > 0.1 * moved[0]).all()


def test_adam_moves_by_the_learning_rate_along_the_gradient():
    values = torch.zeros(2, 3, dtype=torch.float64)
    UniformAdam(values).step(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]]).double(), 0.1)
    assert torch.allclose(values, torch.tensor([[-0.1, 0.0, 0.0], [0.0, -0.05, 0.0]]).double())
