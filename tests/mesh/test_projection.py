"""The picture lands where its camera sees the surface, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from threestudio import cameras
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.projection import color_correction, picture_on_surface, project_picture
from threestudio.mesh.reference_view import ReferenceView

RED, GREEN, BLUE = (np.array(color) for color in ([0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.2, 0.9]))


def ball(center=(0.0, 0.0, 0.0), radius=0.5) -> Mesh:
    solid = trimesh.creation.icosphere(subdivisions=5, radius=radius).apply_translation(center)
    return Mesh(np.array(solid.vertices), np.array(solid.faces))


def both(one: Mesh, other: Mesh) -> Mesh:
    return Mesh(
        np.concatenate([one.positions, other.positions]),
        np.concatenate([one.faces, other.faces + len(one.positions)]),
    )


def view_of(rgba, azimuth_deg=0.0, elevation_deg=0.0) -> ReferenceView:
    angles = [torch.tensor([angle], dtype=torch.float64) for angle in (elevation_deg, azimuth_deg, 3.8)]
    return ReferenceView(rgba, cameras.orbit(*angles)[0].numpy(), 20.0)


def plain(color, size=128) -> np.ndarray:
    """An opaque picture of one colour."""
    return np.broadcast_to(np.append(color, 1.0), (size, size, 4)).copy()


def projected(mesh: Mesh, view: ReferenceView, match_colors: bool = False) -> np.ndarray:
    field = np.broadcast_to(GREEN, mesh.positions.shape)
    if match_colors:
        field = field + color_correction(field, mesh, view)
    return project_picture(field, mesh, mesh.positions, mesh.normals, view)


@pytest.mark.parametrize("azimuth_deg", [0.0, 90.0, 200.0])
def test_the_side_towards_the_camera_takes_the_picture_and_the_far_side_keeps_the_field(azimuth_deg):
    mesh, view = ball(), view_of(plain(RED), azimuth_deg)
    towards = mesh.positions @ view.c2w[:3, 2] / 0.5
    colors = projected(mesh, view)
    assert np.allclose(colors[towards > 0.8], RED, atol=1e-6)
    assert np.allclose(colors[towards < -0.1], GREEN)


def test_a_picture_of_the_back_colours_what_the_first_one_does_not_show():
    mesh = ball()
    view = replace(view_of(plain(RED)), further=[view_of(plain(BLUE), azimuth_deg=180.0), view_of(plain(GREEN * 0))])
    colors = projected(mesh, view, match_colors=True)
    towards = mesh.positions @ view.c2w[:3, 2] / 0.5
    assert np.allclose(colors[towards > 0.5], RED, atol=1e-6)  # whatever the third says of this side
    assert np.allclose(colors[towards < -0.5], BLUE, atol=1e-6)


def test_a_field_that_was_fitted_to_another_picture_keeps_its_colours():
    mesh, view = ball(), view_of(plain(RED))
    unseen = mesh.positions @ view.c2w[:3, 2] < 0.05
    assert not np.allclose(projected(mesh, view, match_colors=True)[unseen], GREEN, atol=0.05)
    fitted = replace(view, fitted=plain(GREEN))
    colors = projected(mesh, fitted, match_colors=True)
    assert np.allclose(colors[mesh.positions @ view.c2w[:3, 2] < -0.4], GREEN, atol=0.02)
    assert np.allclose(colors[mesh.positions @ view.c2w[:3, 2] > 0.4], RED, atol=1e-6)


def test_the_picture_is_upright_and_not_mirrored():
    """Seen from +x with z up, +y is on the right: the picture's right half must land on y > 0, its top on z > 0."""
    rgba = plain(np.zeros(3))
    rgba[:, 64:, 0] = 1.0
    rgba[:64, :, 1] = 1.0
    mesh = ball()
    colors, weight = picture_on_surface(mesh, mesh.positions, mesh.normals, view_of(rgba))
    sure = (weight[:, 0] > 0.9) & (np.abs(mesh.positions[:, 1:]) > 0.05).all(axis=1)
    assert sure.sum() > 1000
    assert np.array_equal(colors[sure, 0] > 0.5, mesh.positions[sure, 1] > 0)
    assert np.array_equal(colors[sure, 1] > 0.5, mesh.positions[sure, 2] > 0)


def test_what_is_hidden_behind_another_part_keeps_the_field():
    hidden, front = ball(center=(-0.6, 0.0, 0.0), radius=0.2), ball(center=(0.3, 0.0, 0.0), radius=0.3)
    colors = projected(both(hidden, front), view_of(plain(RED)))
    assert np.allclose(colors[: len(hidden.positions)], GREEN)


def test_the_weight_falls_smoothly_to_zero_at_grazing_angles():
    mesh = ball()
    _, weight = picture_on_surface(mesh, mesh.positions, mesh.normals, view_of(plain(RED)))
    cosine = mesh.normals @ np.array([1.0, 0.0, 0.0])
    order = np.argsort(cosine)
    steps = np.diff(np.convolve(weight[order, 0], np.ones(101) / 101, mode="valid"))
    assert weight[cosine < -0.05].max() == 0.0
    assert steps.max() < 0.05


def test_beyond_the_mask_the_colours_at_its_border_go_on_and_never_what_lies_behind():
    rgba = plain(RED)
    rgba[:, 60:, 3] = 0.0
    rgba[:, 60:, :3] = 1.0
    rgba[:, 58:60, 3] = 0.5  # a soft rim that holds some of the background
    rgba[:, 58:60, :3] = 0.9
    mesh = ball()
    colors = projected(mesh, view_of(rgba))
    facing = mesh.normals @ np.array([1.0, 0.0, 0.0]) > 0.5
    assert np.allclose(colors[facing], RED, atol=1e-6)


def test_a_correction_is_the_pictures_beside_what_it_shows_and_the_mean_far_away():
    rgba = plain(RED)
    rgba[:, 64:, :3] = GREEN  # the right half, y > 0, is as the field
    mesh = ball()
    colors = projected(mesh, view_of(rgba), match_colors=True)
    behind = (mesh.positions[:, 0] < -0.04) & (mesh.positions[:, 0] > -0.08)
    left, right, back = (
        behind & (mesh.positions[:, 1] < -0.48),
        behind & (mesh.positions[:, 1] > 0.48),
        mesh.positions[:, 0] < -0.45,
    )
    assert np.abs(colors[left] - RED).mean() < 0.7 * np.abs(colors[left] - GREEN).mean()
    assert np.abs(colors[right] - GREEN).mean() < 0.7 * np.abs(colors[right] - RED).mean()
    assert np.allclose(colors[back], (RED + GREEN) / 2, atol=0.1)


def test_a_mark_at_the_pictures_rim_is_not_carried_around_it():
    rgba = plain(GREEN)
    mesh = ball()
    view = view_of(rgba)
    row, column = view.pixels(mesh.positions, *rgba.shape[:2])
    rgba[60:68, int(column.max()) - 6 :, :3] = 0.0  # an eye, half of it beyond the outline
    colors = projected(mesh, view_of(rgba), match_colors=True)
    cosine = mesh.normals @ np.array([1.0, 0.0, 0.0])
    assert np.abs(colors[cosine < -0.05] - GREEN).max() < 0.1
    assert np.abs(colors[cosine > 0.3] - GREEN).max() > 0.8  # the eye itself is there


def test_no_step_shows_where_the_picture_ends():
    mesh, view = ball(), view_of(plain(RED))
    edges = mesh.to_trimesh().edges_unique
    plain_field, corrected = (projected(mesh, view, match) for match in (False, True))
    largest = [np.abs(np.diff(colors[edges], axis=1)).max() for colors in (plain_field, corrected)]
    assert largest[1] < 0.1 * largest[0]


def test_a_mesh_that_the_camera_does_not_see_keeps_the_field():
    mesh = ball(center=(0.0, 5.0, 0.0))
    assert np.allclose(projected(mesh, view_of(plain(RED)), match_colors=True), GREEN)
