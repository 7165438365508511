"""Pits that the picture's camera looks into are closed; what the picture does show stays."""

import numpy as np
import pytest
import torch
from analytic_field import AnalyticGeometry, sphere, union

from threestudio import cameras
from threestudio.models.reference_view import FirstHits, ReferenceView
from threestudio.models.visible_relief import filled_pits, opened

RADIUS, PIT_RADIUS = 0.5, 0.05
PIT_CENTRE = (0.5, 0.0, 0.0)  # on the front


def ball_with_a_pit(points):
    """A ball, from which a smaller one around a point of its front is taken away."""
    return torch.maximum(sphere(RADIUS)(points), -sphere(PIT_RADIUS, PIT_CENTRE)(points))


def view_of(alpha) -> ReferenceView:
    angles = [torch.tensor([angle], dtype=torch.float64) for angle in (0.0, 0.0, 3.8)]
    rgba = np.concatenate([np.zeros((*alpha.shape, 3)), alpha[..., None]], axis=-1)
    return ReferenceView(rgba, cameras.orbit(*angles)[0].numpy(), 20.0)


def silhouette(mesh, size=128) -> np.ndarray:
    return np.isfinite(FirstHits(mesh, view_of(np.ones((size, size)))).depth_map(size, size)).astype(float)


def geometry(signed_distance):
    return AnalyticGeometry(signed_distance)


def filled(signed_distance, alpha=None):
    """The surface before and after."""
    before = geometry(signed_distance).isosurface()
    view = view_of(silhouette(before) if alpha is None else alpha)
    return before, geometry(signed_distance).isosurface(lambda mesh: filled_pits(mesh, view))


def distance_from_sphere(mesh, near, within):
    close = np.linalg.norm(mesh.positions - np.asarray(near), axis=1) < within
    return np.abs(np.linalg.norm(mesh.positions[close], axis=1) - RADIUS).max()


def test_a_pit_in_the_visible_side_is_level_with_its_surroundings():
    before, after = filled(ball_with_a_pit)
    assert distance_from_sphere(before, PIT_CENTRE, 0.08) > 0.04
    assert distance_from_sphere(after, PIT_CENTRE, 0.08) < 0.012
    assert after.to_trimesh().is_watertight


def test_a_ball_without_pits_stays_as_it_is():
    before, after = filled(sphere(RADIUS))
    assert np.abs(np.linalg.norm(after.positions, axis=1) - RADIUS).max() < 0.012
    assert abs(after.to_trimesh().volume / before.to_trimesh().volume - 1) < 0.01


def test_a_pit_on_the_far_side_stays():
    turned_away = (-0.5, 0.0, 0.0)
    before, after = filled(lambda points: torch.maximum(sphere(RADIUS)(points), -sphere(0.05, turned_away)(points)))
    assert distance_from_sphere(after, turned_away, 0.08) == pytest.approx(
        distance_from_sphere(before, turned_away, 0.08), abs=2e-3
    )


def drilled(points):
    """A flat disc of thickness 0.2 across the view, with a hole through it."""
    x, across = points[..., 0], points[..., 1:].norm(dim=-1)
    return torch.maximum(torch.maximum(x.abs() - 0.1, across - 0.4), 0.05 - across)[..., None]


def sees_through_the_middle(mesh) -> bool:
    depth = FirstHits(mesh, view_of(np.ones((65, 65)))).depth_map(65, 65)
    return bool(np.isinf(depth[32, 32]))


def test_a_hole_is_closed_where_the_picture_shows_the_object_and_kept_where_it_shows_none():
    before, kept = filled(drilled)
    assert sees_through_the_middle(before) and sees_through_the_middle(kept)
    rows, columns = np.mgrid[:128, :128] - 63.5
    _, closed = filled(drilled, (np.hypot(rows, columns) < 30).astype(float))
    assert not sees_through_the_middle(closed)


def test_what_lies_far_behind_a_gap_is_not_pulled_forward():
    two_posts = union(sphere(0.12, (0.4, 0.16, 0.0)), sphere(0.12, (0.4, -0.16, 0.0)))
    before, after = filled(union(two_posts, sphere(0.3, (-0.45, 0.0, 0.0))))
    assert after.to_trimesh().volume == pytest.approx(before.to_trimesh().volume, rel=0.02)


@pytest.mark.parametrize("slope, step", [(0.01, 0.0), (0.0, 0.5)])
def test_opening_keeps_slopes_and_steps(slope, step):
    rows, columns = np.mgrid[:64, :64]
    depth = 3.0 + slope * columns + step * (rows > 31)
    # Within half a disc of the border the window is cut off.
    assert np.allclose(opened(depth, np.ones((64, 64), bool), 0.15)[8:-8, 8:-8], depth[8:-8, 8:-8])


def test_opening_takes_narrow_valleys_away_and_knows_nothing_outside_the_mask():
    rows, columns = np.mgrid[:64, :64]
    valley = 3.0 + 0.2 * (np.hypot(rows - 16, columns - 30) < 3)
    assert np.allclose(opened(valley, np.ones((64, 64), bool), 0.15), 3.0)
    assert np.isinf(opened(valley, np.zeros((64, 64), bool), 0.15)).all()
