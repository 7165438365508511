"""The conventions, each as a picture of the world that can be checked by hand."""

import math

import pytest
import torch

from threestudio import cameras


def orbit(elevation_deg=0.0, azimuth_deg=0.0, distance=2.0, dtype=torch.float64):
    return cameras.orbit(*(torch.tensor([value], dtype=dtype) for value in (elevation_deg, azimuth_deg, distance)))


def centre_and_rays(c2w, height=5, width=5, fovy_deg=40.0, **kwargs):
    return cameras.rays(c2w, torch.tensor([fovy_deg], dtype=c2w.dtype), height, width, **kwargs)


@pytest.mark.parametrize(
    ("elevation_deg", "azimuth_deg", "expected"),
    [(0, 0, (2, 0, 0)), (0, 90, (0, 2, 0)), (0, 180, (-2, 0, 0)), (0, -90, (0, -2, 0)), (90, 0, (0, 0, 2))],
)
def test_azimuth_runs_from_x_to_y_and_elevation_up_to_z(elevation_deg, azimuth_deg, expected):
    position = orbit(elevation_deg, azimuth_deg)[0, :3, 3]
    assert torch.allclose(position, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("elevation_deg", [-90.0, -30.0, 0.0, 45.0, 89.999, 90.0])
@pytest.mark.parametrize("azimuth_deg", [-180.0, -45.0, 0.0, 133.0])
def test_a_camera_is_a_rotation_and_looks_at_the_origin(elevation_deg, azimuth_deg):
    c2w = orbit(elevation_deg, azimuth_deg)
    rotation, position = c2w[0, :3, :3], c2w[0, :3, 3]
    assert torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-9)
    assert torch.linalg.det(rotation).item() == pytest.approx(1.0)
    assert torch.allclose(-rotation[:, 2], -position / position.norm(), atol=1e-9)


def test_from_the_front_right_is_plus_y_and_up_is_plus_z():
    rotation = orbit()[0, :3, :3]
    assert torch.allclose(rotation[:, 0], torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    assert torch.allclose(rotation[:, 1], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))


def test_row_0_is_the_top_and_the_middle_pixel_looks_along_the_axis():
    rays_o, rays_d = centre_and_rays(orbit())
    assert torch.allclose(rays_d[0, 2, 2], torch.tensor([-1.0, 0.0, 0.0], dtype=torch.float64))
    assert rays_d[0, 0, 2, 2] > 0 > rays_d[0, 4, 2, 2]
    assert rays_d[0, 2, 4, 1] > 0 > rays_d[0, 2, 0, 1]
    assert torch.equal(rays_o[0, 0, 0], rays_o[0, 4, 4])


def test_fovy_spans_the_picture_from_edge_to_edge():
    height, fovy_deg = 10, 40.0
    _, directions = centre_and_rays(orbit(), height, 4, fovy_deg, normalize=False)
    slopes = directions[0, :, 0, 2]  # per unit of depth
    half_pixel = 0.5 * (slopes[0] - slopes[1])
    assert (slopes[0] + half_pixel).item() == pytest.approx(math.tan(math.radians(fovy_deg / 2)))


def test_directions_have_length_1_or_depth_1():
    c2w = orbit(20, 30)
    assert torch.allclose(centre_and_rays(c2w)[1].norm(dim=-1), torch.ones(1, 5, 5, dtype=torch.float64))
    depth = -centre_and_rays(c2w, normalize=False)[1] @ c2w[0, :3, 2]
    assert torch.allclose(depth, torch.ones(1, 5, 5, dtype=torch.float64))


def test_projection_puts_a_point_on_the_pixel_whose_ray_meets_it():
    height, width, fovy_deg = 6, 8, torch.tensor([40.0], dtype=torch.float64)
    c2w = orbit(25, -60)
    rays_o, rays_d = cameras.rays(c2w, fovy_deg, height, width)
    points = rays_o + 1.7 * rays_d
    mvp = cameras.world_to_clip(c2w, cameras.projection(fovy_deg, width / height, 0.1, 100.0))
    clip = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ mvp[0].T
    screen = clip[..., :2] / clip[..., 3:]
    x = (torch.arange(width, dtype=torch.float64) + 0.5) / width * 2 - 1
    y = 1 - (torch.arange(height, dtype=torch.float64) + 0.5) / height * 2
    assert torch.allclose(screen[0, ..., 0], x.expand(height, width))
    assert torch.allclose(screen[0, ..., 1], y[:, None].expand(height, width))


def test_near_and_far_planes_are_the_ends_of_clip_space():
    mvp = cameras.projection(torch.tensor([40.0]), 1.0, 0.1, 100.0)[0]
    for depth, expected in ((0.1, -1.0), (100.0, 1.0)):
        clip = mvp @ torch.tensor([0.0, 0.0, -depth, 1.0])
        assert (clip[2] / clip[3]).item() == pytest.approx(expected, abs=1e-4)


def test_the_source_view_becomes_gltf_front_and_z_up_becomes_y_up():
    gltf = cameras.gltf_from_world(torch.eye(3))
    assert gltf.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_gltf_axes_are_a_rotation_and_undone_by_the_inverse():
    assert torch.linalg.det(torch.tensor(cameras.GLTF_FROM_WORLD)).item() == pytest.approx(1.0)
    points = torch.randn(7, 3)
    assert torch.allclose(cameras.world_from_gltf(cameras.gltf_from_world(points)), points)
