import torch

from threestudio import cameras
from threestudio.models.geometry.visual_hull import VisualHull


def world_to_clip(elevation_deg: float, azimuth_deg: float) -> torch.Tensor:
    c2w = cameras.orbit(torch.tensor([elevation_deg]), torch.tensor([azimuth_deg]), torch.tensor([3.8]))
    return cameras.world_to_clip(c2w, cameras.projection(torch.tensor([20.0]), 1.0, 0.1, 100.0))[0]


def test_before_it_is_carved_the_hull_is_everywhere():
    assert torch.all(VisualHull()(torch.rand(50, 3) * 2 - 1) == 1)


def test_points_outside_the_silhouette_are_empty_at_any_depth():
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[:, 32:] = True  # the right half of the picture, seen from +x: y > 0
    hull = VisualHull()
    hull.carve(mask, world_to_clip(0.0, 0.0))
    depth = torch.linspace(-0.5, 0.5, 5)
    right = torch.stack([depth, torch.full_like(depth, 0.3), torch.zeros_like(depth)], dim=-1)
    assert torch.all(hull(right) == 1)
    assert torch.all(hull(right * torch.tensor([1.0, -1.0, 1.0])) == 0)


def test_the_top_of_the_picture_is_up():
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[:32] = True
    hull = VisualHull()
    hull.carve(mask, world_to_clip(0.0, 90.0))
    assert hull(torch.tensor([[0.0, 0.0, 0.3]])) == 1
    assert hull(torch.tensor([[0.0, 0.0, -0.3]])) == 0


def test_the_hull_is_kept_with_the_field():
    hull, restored = VisualHull(), VisualHull()
    hull.carve(torch.rand(64, 64) > 0.5, world_to_clip(10.0, 20.0))
    restored.load_state_dict(hull.state_dict())
    points = torch.rand(100, 3) - 0.5
    assert torch.equal(hull(points), restored(points))
