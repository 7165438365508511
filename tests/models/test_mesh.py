import torch

from threestudio.models.mesh import Mesh

# The corner of a cube at the origin, seen from outside: three unit squares would meet there.
POSITIONS = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
FACES = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2]])


def test_vertex_normals_are_the_mean_of_the_faces_around():
    normals = Mesh(POSITIONS, FACES).v_nrm
    torch.testing.assert_close(normals[0], torch.full((3,), -(3**-0.5)))
    torch.testing.assert_close(normals[1], torch.tensor([0.0, -1.0, -1.0]) / 2**0.5)


def test_normals_follow_positions_that_are_learned():
    positions = POSITIONS.clone().requires_grad_()
    mesh = Mesh(positions, FACES)
    assert mesh.requires_grad
    mesh.v_nrm[1, 0].backward()
    assert positions.grad.abs().max() > 0.1


def test_what_a_geometry_hands_on_is_kept():
    mesh = Mesh(POSITIONS, FACES, tet=torch.zeros(2))
    mesh.add_extra("grid", 3)
    mesh.set_vertex_color(POSITIONS)
    assert set(mesh.extras) == {"tet", "grid"} and mesh.v_rgb is POSITIONS
