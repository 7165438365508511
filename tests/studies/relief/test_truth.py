"""The truth that the relief network is trained on, against what is known of simple bodies."""

import numpy as np
import pytest
import torch
import trimesh

from studies.relief.framing import HALF_HEIGHT, framed
from studies.relief.truth import Caster, FilledGrid
from studies.rendering.lights import DiffuseLight
from threestudio.mesh.renderer import Light, render_mesh
from threestudio.relief.network import LAYER_OFFSETS, LAYERS_SIZE, SIZE

LIGHT = Light.in_the_world(*DiffuseLight(30.0))


def relief(mesh, elevation_deg=0.0, azimuth_deg=0.0, fovy_deg=20.0, object_ratio=0.75):
    caster = Caster(mesh)
    framing = framed(caster.points, elevation_deg, azimuth_deg, fovy_deg, object_ratio)
    return caster.relief(framing, LIGHT)


def box_in_picture(alpha):
    rows, columns = np.nonzero(alpha > 127)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


@pytest.mark.parametrize("fovy_deg", [15.0, 50.0])
@pytest.mark.parametrize("sides", [(1.0, 0.4, 0.3), (0.2, 0.5, 1.0)])
def test_the_object_s_box_is_centred_and_as_large_as_asked(fovy_deg, sides):
    found = relief(trimesh.creation.box(sides), 20.0, 35.0, fovy_deg, 0.7)
    top, bottom, left, right = box_in_picture(found.rgba[..., 3])
    assert max(bottom - top, right - left) == pytest.approx(0.7 * SIZE, abs=2)
    assert (top + bottom) / 2 == pytest.approx(SIZE / 2, abs=1.5)
    assert (left + right) / 2 == pytest.approx(SIZE / 2, abs=1.5)


def test_a_ball_s_front_back_and_normals():
    found = relief(trimesh.creation.icosphere(5, 0.3))
    centre = SIZE // 2
    # Framed, the ball's outline is 0.75 of the picture: a radius of 0.75 halves of its height, but for perspective.
    assert found.front[centre, centre] == pytest.approx(-0.74, abs=0.02)
    assert found.back[centre, centre] == pytest.approx(0.74, abs=0.02)
    np.testing.assert_allclose(found.normal[centre, centre], (0, 0, 1), atol=0.05)
    assert found.normal[centre, centre + 30, 0] > 0.4  # camera axes: x to the right
    assert found.normal[centre - 30, centre, 1] > 0.4  # y upwards
    assert not found.hit[2, 2] and (found.hit == (found.rgba[..., 3] > 127)).mean() > 0.98


def test_the_picture_is_what_the_renderer_makes():
    mesh = trimesh.creation.icosphere(3, 0.5)
    caster = Caster(mesh)
    framing = framed(caster.points, 10.0, 30.0, 20.0, 0.75)
    rendered = render_mesh(
        mesh, torch.from_numpy(framing.c2w)[None], 20.0, SIZE, SIZE, 2, "diffuse", *DiffuseLight(30.0)
    )[0]
    made = caster.picture(framing, LIGHT)
    assert (np.abs(made.astype(int) - rendered) > 2).mean() < 0.005


def test_layers_are_filled_from_front_to_back():
    found = relief(trimesh.creation.icosphere(4, 0.5))
    column = found.inside[:, LAYERS_SIZE // 2, LAYERS_SIZE // 2]
    np.testing.assert_array_equal(column, np.abs(LAYER_OFFSETS) < 0.74)
    assert not found.inside[:, 0, 0].any()


def test_the_last_surface_behind_a_gap_counts_as_the_back_but_the_gap_is_not_filled():
    near, far = (trimesh.creation.box((0.1, 0.5, 0.5)).apply_translation((x, 0, 0)) for x in (0.4, -0.4))
    found = relief(trimesh.util.concatenate([near, far]))
    centre = SIZE // 2
    thickness = (found.back - found.front)[centre, centre] * HALF_HEIGHT
    assert thickness / (2 * HALF_HEIGHT * 0.75) > 1.0
    column = found.inside[:, LAYERS_SIZE // 2, LAYERS_SIZE // 2]
    assert column.any() and not column[len(column) // 2]


def open_box(missing):
    """A cube without the side towards +axis or -axis."""
    box = trimesh.creation.box()
    axis, sign = missing
    box.update_faces(box.face_normals[:, axis] * sign < 0.5)
    return box


@pytest.mark.parametrize(
    ("missing", "filled"), [((2, -1), True), ((0, -1), True), ((2, 1), False), ((0, 1), False), ((1, 1), False)]
)
def test_what_is_open_below_or_behind_is_solid_and_what_is_open_above_or_in_front_is_hollow(missing, filled):
    box = open_box(missing)
    assert bool(FilledGrid(box.vertices[box.faces]).inside(np.zeros(3))) is filled


def test_overlapping_parts_are_one_solid_and_everything_beyond_is_outside():
    parts = [trimesh.creation.icosphere(3, 0.3).apply_translation((x, 0, 0)) for x in (-0.2, 0.2)]
    grid = FilledGrid(np.concatenate([part.vertices[part.faces] for part in parts]))
    assert grid.inside(np.array([[0.0, 0, 0], [0.4, 0, 0], [-0.4, 0, 0]])).all()
    assert not grid.inside(np.array([[0.0, 0.3, 0], [9.0, 9, 9], [-9.0, 0, 0]])).any()
