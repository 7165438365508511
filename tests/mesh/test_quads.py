"""Quadrilaterals in the OBJ; Instant Meshes itself only where its package is installed."""

import sys

import numpy as np
import pytest
import trimesh

from threestudio.errors import UserError
from threestudio.mesh.files import write_obj
from threestudio.mesh.mesh import Mesh, TexturedMesh
from threestudio.mesh.quads import PACKAGE, in_quads


def strip(quads: int) -> Mesh:
    """Squares in a row, each in two halves."""
    positions = np.array([[x, y, 0.0] for x in range(quads + 1) for y in (0, 1)], dtype=np.float64)
    corners = np.array([[2 * k, 2 * k + 2, 2 * k + 3, 2 * k + 1] for k in range(quads)])
    halves = np.stack([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    return Mesh(positions, halves, paired=True)


def face_rows(path) -> list[list[str]]:
    return [line.split()[1:] for line in path.read_text().splitlines() if line.startswith("f ")]


def test_halves_are_written_as_one_face(tmp_path):
    rows = face_rows(write_obj(tmp_path / "a.obj", strip(3), save_normal=False)[0])
    assert rows == [["1", "3", "4", "2"], ["3", "5", "6", "4"], ["5", "7", "8", "6"]]


def test_halves_that_a_seam_of_the_texture_divides_stay_two(tmp_path):
    mesh = strip(2)
    uv_faces = mesh.faces.copy()
    uv_faces[3] = [6, 7, 8]  # the last half has coordinates of its own
    textured = TexturedMesh(mesh, np.zeros((9, 2)), uv_faces, np.zeros(9, dtype=np.int64))
    rows = face_rows(write_obj(tmp_path / "a.obj", textured, save_normal=False)[0])
    assert [len(row) for row in rows] == [4, 3, 3]


def test_without_the_package_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(UserError, match=f"remesh=quads needs the package {PACKAGE}: pip install {PACKAGE}"):
        in_quads(strip(1), 0)


def test_a_ball_in_quads_keeps_its_shape_and_nothing_is_printed(capfd):
    pytest.importorskip(PACKAGE)
    made = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    ball = in_quads(Mesh(np.array(made.vertices), np.array(made.faces, dtype=np.int64)), 2000)
    assert ball.paired and 1000 < len(ball.faces) < 3500
    assert np.allclose(np.linalg.norm(ball.positions, axis=1), 0.5, atol=0.01)
    assert "Hierarchy" not in capfd.readouterr().out
