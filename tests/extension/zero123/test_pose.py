import math

import torch
from cascade_zero123.views import Cameras
from cascade_zero123.zero123.pose import pose_from_world_to_camera, pose_token

from threestudio.cameras import orbit

pose = Cameras.one


def test_relative_pose_of_a_view_to_itself_is_the_zero_transition():
    view = pose(17.0, -120.0, 1.7)
    assert torch.allclose(pose_token(view, view), torch.tensor([[0.0, 0.0, 1.0, 0.0]]), atol=1e-6)


def test_a_higher_target_has_a_smaller_polar_angle():
    token = pose_token(pose(30.0, 0.0, 2.0), pose(0.0, 0.0, 1.5))
    assert torch.allclose(token, torch.tensor([[-math.pi / 6, 0.0, 1.0, 0.5]]), atol=1e-6)


def test_azimuth_enters_as_sine_and_cosine_of_the_difference():
    token = pose_token(pose(0.0, 100.0, 1.0), pose(0.0, 10.0, 1.0))
    assert torch.allclose(token, torch.tensor([[0.0, 1.0, 0.0, 0.0]]), atol=1e-6)


def test_the_fourth_number_of_stable_zero123_is_the_polar_angle_of_the_conditioning_view():
    token = pose_token(pose(30.0, 50.0, 2.0), pose(10.0, 50.0, 1.5), "stable-zero123")
    assert torch.allclose(token, torch.tensor([[-math.pi / 9, 0.0, 1.0, math.radians(80)]]), atol=1e-6)
    assert torch.allclose(pose_token(pose(30.0, 50.0, 2.0), pose(10.0, 50.0, 1.5))[:, 3], torch.tensor([0.5]))


def test_world_to_camera_matrices_give_back_the_orbit_they_were_made_from():
    given = Cameras(torch.tensor([-10.0, 5.0, 60.0]), torch.tensor([170.0, -90.0, 0.5]), torch.tensor([3.8, 1.5, 2.2]))
    found = pose_from_world_to_camera(torch.linalg.inv(orbit(*given.as_tensor()))[:, :3])
    assert torch.allclose(found.as_tensor(), given.as_tensor(), atol=1e-3)
