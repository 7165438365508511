"""The exact image, and its derivative against central differences."""

import numpy as np
import pytest
import torch
import trimesh

from threestudio import cameras
from threestudio.mesh.differentiable import Camera, PlacedMesh
from threestudio.mesh.renderer import render_mesh
from threestudio.mesh.topology import Topology

SIZE = 48
ANGLES = [torch.tensor([angle]) for angle in (10.0, 25.0, 3.8)]
STEP = 0.01


def camera(size: int = SIZE) -> Camera:
    return Camera(cameras.orbit(*ANGLES)[0], 20.0, size, size)


@pytest.fixture(scope="module")
def two_bodies():
    """A box in front of a ball: part of its outline lies before a surface, not before the background."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    box = trimesh.creation.box((0.25, 0.25, 0.25))
    box.apply_translation((0.75, 0.15, 0.15))
    both = trimesh.util.concatenate([ball, box])
    topology = Topology.of(np.asarray(both.faces), len(both.vertices))
    return torch.tensor(np.array(both.vertices)).float(), topology, len(ball.vertices)


def smooth_weights(channels: int):
    noise = torch.rand(1, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.avg_pool2d(noise, 9, 1, 4)[0].permute(1, 2, 0)


def derivatives(function, count: int):
    """Of a function of small motions: by backward, and by central differences."""
    motion = torch.zeros(count, requires_grad=True)
    function(motion, 4).backward()
    differences = []
    for index in range(count):
        step = torch.zeros(count)
        step[index] = STEP
        with torch.no_grad():
            differences.append(float(function(step, 12) - function(-step, 12)) / (2 * STEP))
    return motion.grad.numpy(), np.array(differences)


def moved(positions, first, motion):
    """The whole scaled and shifted, and the second body shifted again."""
    everything = positions * (1 + motion[0]) + motion[1:4]
    return torch.cat([everything[:first], everything[first:] + motion[4:7]])


def test_coverage_is_that_of_the_other_renderer(two_bodies):
    positions, topology, _ = two_bodies
    mesh = trimesh.Trimesh(positions.numpy(), topology.faces, process=False)
    expected = render_mesh(mesh, camera().c2w[None], 20.0, SIZE, SIZE, supersample=4)[0, ..., 3] / 255
    assert np.abs(PlacedMesh(positions, topology).render(camera(), samples=4)[..., 0].numpy() - expected).max() < 0.07


def test_attributes_are_interpolated_in_perspective(two_bodies):
    """World positions as attributes: each pixel's lies on its ray."""
    positions, topology, _ = two_bodies
    image = PlacedMesh(positions, topology).render(camera(), positions)
    hit = image[..., 3] > 0
    rays_o, rays_d = cameras.rays(camera().c2w[None], torch.tensor([20.0]), SIZE, SIZE)
    from_camera = (image[..., :3] - rays_o[0])[hit]
    aside = torch.linalg.cross(from_camera, rays_d[0][hit]).norm(dim=1)
    assert float(aside.max()) < 1e-4


@pytest.mark.parametrize("colored", [False, True])
def test_the_derivative_agrees_with_central_differences(two_bodies, colored):
    positions, topology, first = two_bodies
    color = torch.sin(4.0 * positions[:, :2]) if colored else None
    weights = smooth_weights(3 if colored else 1)

    def weighed(motion, samples):
        placed = PlacedMesh(moved(positions, first, motion), topology)
        return (placed.render(camera(), color, samples) * weights).sum()

    found, expected = derivatives(weighed, 7)
    assert np.abs(found - expected).max() < 0.04 * np.abs(expected).max()
    assert found @ expected / np.linalg.norm(found) / np.linalg.norm(expected) > 0.999


def test_the_coverage_of_outline_pixels_alone_has_the_derivative_of_the_whole_image(two_bodies):
    positions, topology, _ = two_bodies
    wanted = smooth_weights(1)[..., 0]
    gradients = []
    for whole in (True, False):
        moving = positions.clone().requires_grad_()
        placed = PlacedMesh(moving, topology)
        if whole:
            residual = placed.render(camera(), samples=2)[..., 0] - wanted
        else:
            pixel, coverage = placed.outline_coverage(camera(), samples=2)
            residual = coverage - wanted.reshape(-1)[pixel]
        gradients.append(torch.autograd.grad(residual.square().sum(), moving)[0])
    assert torch.allclose(*gradients, atol=1e-4 * float(gradients[0].abs().max()))


def test_a_body_behind_another_does_not_move_the_image():
    """Its outline is hidden."""
    front, behind = (trimesh.creation.icosphere(subdivisions=2, radius=radius) for radius in (0.4, 0.1))
    behind.apply_translation(-camera().c2w[:3, 2].numpy() * 0.8)
    both = trimesh.util.concatenate([front, behind])
    positions = torch.tensor(np.array(both.vertices)).float().requires_grad_()
    placed = PlacedMesh(positions, Topology.of(np.asarray(both.faces), len(both.vertices)))
    placed.render(camera()).sum().backward()
    assert positions.grad[: len(front.vertices)].abs().max() > 0
    assert positions.grad[len(front.vertices) :].abs().max() == 0
