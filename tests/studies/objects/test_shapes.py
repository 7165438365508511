import numpy as np
import pytest
import trimesh

from studies.objects import shapes
from studies.objects.sculptor import Sculptor


def volume(part):
    """By the divergence theorem: positive for outward faces of a closed surface."""
    return trimesh.Trimesh(part.vertices, part.faces, process=False).volume


def primitives():
    s = Sculptor(np.random.default_rng(0), detail=4.0)
    return {
        "ball": (s.ball((1, 2, 3), (0.5, 0.4, 0.3)), 4 / 3 * np.pi * 0.06),
        "box": (s.box((0, 1, 0), (1.0, 2.0, 0.5)), 1.0),
        "pyramid": (s.box((0, 0, 0), (1.0, 1.0, 1.0), taper=0.0), 1 / 3),
        "lathe": (s.lathe([(0, 0), (0.5, 0), (0.5, 1), (0, 1)], smooth=False), np.pi / 4),
        "tube": (s.tube([(0, 0, 0), (1, 0, 0)], 0.2, roundness=1.0), np.pi * 0.04 + 4 / 3 * np.pi * 0.008),
        "bent tube": (s.tube([(0, 0, 0), (0.5, 0, 0.3), (1, 0, 0)], 0.1, roundness=0.0), None),
        "ring": (s.ring((0, 0, 0), 0.5, 0.1), 2 * np.pi**2 * 0.5 * 0.01),
    }


@pytest.mark.parametrize("name", primitives())
def test_primitives_face_outwards_and_have_their_analytic_volume(name):
    part, expected = primitives()[name]
    assert volume(part) > 0
    if expected is not None:
        assert volume(part) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    "axis, point, turned", [("x", (0, 1, 0), (0, 0, 1)), ("y", (0, 0, 1), (1, 0, 0)), ("z", (1, 0, 0), (0, 1, 0))]
)
def test_rotations_are_right_handed(axis, point, turned):
    np.testing.assert_allclose(shapes.rotation(axis, 90.0) @ point, turned, atol=1e-12)


def test_a_mirrored_part_still_faces_outwards():
    part = shapes.superquadric((0.5, 0.3, 0.2), 16, 9).moved((0, 1, 0))
    assert volume(part.mirrored()) == pytest.approx(volume(part))
    assert part.mirrored().vertices[:, 1].max() < 0


def test_a_spline_passes_through_its_knots():
    knots = np.array([(0.0, 0), (1, 2), (3, 1), (4, 4)])
    np.testing.assert_allclose(shapes.spline(knots, 7)[::2], knots, atol=1e-12)


def test_a_polyline_keeps_its_corners():
    knots = np.array([(0.0, 0), (1, 0), (1, 3)])
    points = shapes.polyline(knots, 9)
    assert all((np.abs(points - knot).sum(axis=1) < 1e-12).any() for knot in knots)


def test_joined_parts_keep_their_faces():
    parts = [shapes.box((1, 1, 1), 2).moved((2 * k, 0, 0)) for k in range(3)]
    assert volume(shapes.join(parts)) == pytest.approx(3.0)
