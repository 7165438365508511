import math

import pytest
import torch
import torch.nn.functional as F

from threestudio import cameras
from threestudio.utils import ops

FOVY_DEG = torch.tensor([40.0, 25.0])


def two_cameras():
    return cameras.orbit(torch.tensor([10.0, -35.0]), torch.tensor([30.0, 200.0]), torch.tensor([2.0, 3.0]))


@pytest.mark.parametrize("normalize", [True, False])
def test_rays_in_two_steps_are_the_cameras_own(normalize):
    height, width, c2w = 5, 7, two_cameras()
    focal = 0.5 * height / math.tan(0.5 * math.radians(40.0))
    directions = ops.get_ray_directions(height, width, focal)
    rays_o, rays_d = ops.get_rays(directions, c2w, keepdim=True, normalize=normalize)
    expected = cameras.rays(c2w, torch.full((2,), 40.0), height, width, normalize)
    torch.testing.assert_close((rays_o, rays_d), expected)


def test_unit_focal_directions_are_scaled_as_upstream_scales_them():
    """Its data modules keep directions of focal length 1 and divide x and y."""
    directions = ops.get_ray_directions(4, 6, 1.0)
    directions[..., :2] /= 3.0
    torch.testing.assert_close(directions, ops.get_ray_directions(4, 6, (3.0, 3.0), (3.0, 2.0)))


def test_pixel_corners_are_half_a_pixel_from_the_centres():
    corners = ops.get_ray_directions(2, 2, 2.0, use_pixel_centers=False)
    torch.testing.assert_close(corners[0, 0], torch.tensor([-0.5, 0.5, -1.0]))


def test_each_shape_of_rays_that_upstream_takes_gives_the_same():
    picture, c2w = ops.get_ray_directions(3, 4, 5.0), two_cameras()
    both_o, both_d = ops.get_rays(picture, c2w, keepdim=True)
    assert both_d.shape == (2, 3, 4, 3)
    for view in range(2):
        for directions, camera in ((picture, c2w[view]), (picture.reshape(-1, 3), c2w[view])):
            rays_o, rays_d = ops.get_rays(directions, camera)
            torch.testing.assert_close(rays_d, both_d[view].reshape(-1, 3))
            torch.testing.assert_close(rays_o, both_o[view].reshape(-1, 3))
    own_each = ops.get_rays(picture.expand(2, -1, -1, -1), c2w)[1]
    torch.testing.assert_close(own_each, both_d.reshape(-1, 3))


def test_ray_noise_moves_all_rays_of_a_call_alike():
    picture, c2w = ops.get_ray_directions(3, 4, 5.0), two_cameras()
    exact = ops.get_rays(picture, c2w, normalize=False)
    moved = ops.get_rays(picture, c2w, noise_scale=0.1, normalize=False)
    for before, after in zip(exact, moved, strict=True):
        assert (after - before).std(0).max() < 1e-6 < (after - before).abs().max()


def test_the_mvp_matrix_puts_a_ray_s_point_on_its_pixel_with_rows_downwards():
    height, width, c2w = 6, 8, two_cameras()
    rays_o, rays_d = cameras.rays(c2w, FOVY_DEG, height, width)
    projection = ops.get_projection_matrix(torch.deg2rad(FOVY_DEG), width / height, 0.1, 100.0)
    for matrix in (c2w, c2w[:, :3]):  # upstream's picture has a camera without its last row
        mvp = ops.get_mvp_matrix(matrix, projection)
        clip = F.pad(rays_o + 1.7 * rays_d, (0, 1), value=1.0) @ mvp[:, None].transpose(2, 3)
        screen = clip[..., :2] / clip[..., 3:]
        x = (torch.arange(width) + 0.5) / width * 2 - 1
        y = (torch.arange(height) + 0.5) / height * 2 - 1
        torch.testing.assert_close(screen[..., 0], x.expand(2, height, width), atol=1e-5, rtol=0)
        torch.testing.assert_close(screen[..., 1], y[:, None].expand(2, height, width), atol=1e-5, rtol=0)


def test_dot_keeps_the_axis():
    x, y = torch.rand(4, 5, 3), torch.rand(4, 5, 3)
    torch.testing.assert_close(ops.dot(x, y), torch.einsum("abc,abc->ab", x, y)[..., None])


def test_binary_cross_entropy_is_torch_s():
    p, target = torch.rand(20).clamp(0.01, 0.99), torch.rand(20)
    torch.testing.assert_close(ops.binary_cross_entropy(p, target), F.binary_cross_entropy(p, target))
