"""Cleaning keeps the object and takes off the rest."""

import numpy as np
import pytest
import trimesh

from threestudio.mesh.cleaning import remove_floaters, smooth
from threestudio.mesh.mesh import Mesh


def from_trimesh(mesh: trimesh.Trimesh) -> Mesh:
    return Mesh(np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64))


def ball_with_floater() -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    floater = trimesh.creation.icosphere(subdivisions=1, radius=0.03).apply_translation([0.8, 0.0, 0.0])
    return from_trimesh(trimesh.util.concatenate([floater, ball]))


def noisy_ball() -> Mesh:
    ball = from_trimesh(trimesh.creation.icosphere(subdivisions=5, radius=0.5))
    noise = np.random.default_rng(0).normal(0.0, 0.004, ball.positions.shape)
    return Mesh(ball.positions + noise, ball.faces)


def test_a_floater_is_removed_and_the_ball_stays():
    mesh = remove_floaters(ball_with_floater(), 0.05).to_trimesh()
    assert mesh.body_count == 1
    assert mesh.bounds[1, 0] == pytest.approx(0.5)


def test_a_part_above_the_fraction_stays():
    assert remove_floaters(ball_with_floater(), 0.01).to_trimesh().body_count == 2


def test_an_integer_threshold_counts_faces():
    assert remove_floaters(ball_with_floater(), 80).to_trimesh().body_count == 2
    assert remove_floaters(ball_with_floater(), 81).to_trimesh().body_count == 1


def test_the_largest_part_stays_whatever_the_threshold():
    assert remove_floaters(ball_with_floater(), 10**6).to_trimesh().body_count == 1


def test_smoothing_removes_noise_and_keeps_the_volume():
    before, after = noisy_ball().to_trimesh(), smooth(noisy_ball(), 5).to_trimesh()
    roughness = [np.linalg.norm(mesh.vertices, axis=1).std() for mesh in (before, after)]
    assert roughness[1] < 0.5 * roughness[0]
    assert after.volume == pytest.approx(before.volume, rel=0.01)
