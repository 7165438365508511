"""The surface of fields whose shape is known."""

import math

import numpy as np
import pytest
import torch
from analytic_field import AnalyticGeometry, sphere, torus, union

from threestudio.errors import UserError


def surface_of(signed_distance, **settings):
    return AnalyticGeometry(signed_distance, **settings).isosurface().to_trimesh()


def test_a_ball_has_its_volume_and_the_topology_of_a_sphere():
    mesh = surface_of(sphere(0.5))
    assert mesh.is_watertight
    assert mesh.euler_number == 2
    assert mesh.volume == pytest.approx(4.0 / 3.0 * math.pi * 0.5**3, rel=0.03)


def test_a_torus_keeps_its_hole():
    mesh = surface_of(torus(0.5, 0.2))
    assert mesh.is_watertight
    assert mesh.euler_number == 0
    assert mesh.volume == pytest.approx(2.0 * math.pi**2 * 0.5 * 0.2**2, rel=0.03)


def test_faces_are_counter_clockwise_seen_from_outside():
    mesh = surface_of(sphere(0.5))
    assert (np.einsum("fc,fc->f", mesh.face_normals, mesh.triangles_center) > 0).all()


@pytest.mark.parametrize("haze", [0.3, 5.0])
def test_haze_around_a_ball_gives_the_ball(haze):
    mesh = surface_of(sphere(0.5), haze=haze)
    assert mesh.bounds == pytest.approx(np.array([[-0.5] * 3, [0.5] * 3]), abs=0.02)


def test_a_hollow_ball_has_no_inner_shell():
    def shell(points):
        return (points.norm(dim=-1) - 0.4).abs() - 0.1

    mesh = surface_of(shell)
    assert mesh.body_count == 1
    assert mesh.volume == pytest.approx(4.0 / 3.0 * math.pi * 0.5**3, rel=0.03)


def test_an_object_that_leaves_the_box_is_closed_at_its_side():
    mesh = surface_of(sphere(0.5, center=(0.0, 0.0, 0.9)))
    assert mesh.is_watertight
    assert mesh.bounds[1, 2] == pytest.approx(1.0, abs=0.05)


def test_refining_only_near_the_surface_equals_a_full_fine_grid():
    geometry = AnalyticGeometry(union(sphere(0.45), sphere(0.25, (0.4, 0.3, 0.2))), resolution=97)
    refined = geometry.isosurface().to_trimesh()
    geometry.cfg.isosurface_coarse_to_fine = False
    full = geometry.isosurface().to_trimesh()
    assert refined.volume == pytest.approx(full.volume, rel=0.03)
    assert refined.bounds == pytest.approx(full.bounds, abs=0.01)


def test_chunks_do_not_change_the_surface():
    geometry = AnalyticGeometry(sphere(0.5), resolution=32)
    whole = geometry.isosurface()
    geometry.cfg.isosurface_chunk = 1000
    assert np.array_equal(geometry.isosurface().positions, whole.positions)


def test_an_empty_field_is_refused_with_what_to_do():
    geometry = AnalyticGeometry(sphere(0.5), solid=0.1)
    with pytest.raises(UserError, match=r"^empty field: .*highest density 0\.1.*trainer\.max_steps"):
        geometry.isosurface()


def test_a_threshold_above_every_density_is_refused_with_the_highest():
    geometry = AnalyticGeometry(sphere(0.5), solid=20.0, threshold=25.0)
    with pytest.raises(UserError, match="no density above isosurface_threshold=25 .highest 20.*set it to auto"):
        geometry.isosurface()


def test_a_threshold_that_is_no_number_is_refused():
    geometry = AnalyticGeometry(sphere(0.5), threshold="high")
    with pytest.raises(UserError, match='"high" is neither a number nor "auto"'):
        geometry.isosurface()


def test_a_field_that_is_not_a_number_somewhere_counts_as_empty_there():
    geometry = AnalyticGeometry(lambda points: torch.where(points[:, 0] > 0.9, torch.nan, points.norm(dim=-1) - 0.5))
    assert geometry.isosurface().to_trimesh().is_watertight
