"""Parts too faint for the level come back where the picture shows them, and only there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from analytic_field import AnalyticGeometry, AnalyticMaterial, sphere

from threestudio import cameras
from threestudio.models.exporters import mesh_exporter
from threestudio.models.exporters.mesh_exporter import MeshExporter
from threestudio.models.isosurface import Solid, union
from threestudio.models.lost_parts import lost_parts, lost_pixels
from threestudio.models.mesh_cleaning import remove_floaters
from threestudio.models.reference_view import FirstHits, ReferenceView

SIZE = 256
RADIUS, ROD_WIDTH = 0.4, 0.06  # the ball, and a rod on top of it as wide as this, in fog as deep as the ball


class BallWithAFaintRod(AnalyticGeometry):
    def __init__(self, middle=0.0):
        super().__init__(sphere(RADIUS), resolution=96)
        self.middle = middle

    def forward_density(self, points):
        x, y, z = points.unbind(-1)
        rod = (y.abs() < 0.5 * ROD_WIDTH) & (z > 0) & (z < 0.8) & ((x - self.middle).abs() < 0.4)
        return torch.maximum(super().forward_density(points), 4.0 * rod[:, None])


def picture(rod: bool) -> ReferenceView:
    """Of the ball from the front, with or without the rod."""
    c2w = cameras.orbit(*(torch.tensor([value], dtype=torch.float64) for value in (0.0, 0.0, 3.8)))[0].numpy()
    row, column = np.mgrid[:SIZE, :SIZE]
    pixel = 2 * 3.8 * np.tan(np.deg2rad(10.0)) / SIZE
    y, z = (column + 0.5 - SIZE / 2) * pixel, (SIZE / 2 - row - 0.5) * pixel
    alpha = np.hypot(y, z) < RADIUS
    if rod:
        alpha |= (np.abs(y) < 0.5 * ROD_WIDTH) & (z > 0) & (z < 0.6)
    rgba = np.concatenate([np.zeros((SIZE, SIZE, 3)), alpha[..., None]], axis=-1)
    return ReferenceView(rgba, c2w, 20.0)


def surface(field, view):
    return field.isosurface(lambda mesh: lost_parts(mesh, view, field.forward_density, field.bbox))


def rod_of(mesh):
    return mesh.positions[mesh.positions[:, 2] > RADIUS + 0.05]


@pytest.mark.parametrize("middle", [0.0, 0.2])
def test_a_faint_rod_comes_back_as_thick_as_wide_and_where_the_fog_lies(middle):
    field = BallWithAFaintRod(middle)
    assert len(rod_of(field.isosurface())) == 0
    mesh = remove_floaters(surface(field, picture(rod=True)), 0.01)  # specks
    rod = rod_of(mesh)
    assert rod[:, 2].max() == pytest.approx(0.6 * (3.8 - middle) / 3.8, abs=0.05)  # a fog nearer to the camera is lower
    top = rod[rod[:, 2] > 0.5]  # below, it leans from the ball's outline to there
    assert np.ptp(top[:, 0]) == pytest.approx(ROD_WIDTH, abs=0.05)
    assert top[:, 0].mean() == pytest.approx(middle, abs=0.06)
    assert mesh.to_trimesh().is_watertight and len(mesh.to_trimesh().split()) == 1


def test_what_the_picture_does_not_show_stays_away():
    assert len(rod_of(surface(BallWithAFaintRod(), picture(rod=False)))) == 0


def test_a_part_of_which_the_field_knows_nothing_stays_away():
    field = AnalyticGeometry(sphere(RADIUS), resolution=96)
    assert len(rod_of(surface(field, picture(rod=True)))) == 0


def test_a_surface_that_fits_the_picture_stays_as_it_is():
    field, view = AnalyticGeometry(sphere(RADIUS), resolution=96), picture(rod=False)
    assert lost_parts(field.isosurface(), view, field.forward_density, field.bbox) is None


def test_a_surface_that_the_camera_does_not_see_gets_no_parts():
    field, view = BallWithAFaintRod(), picture(rod=True)
    mesh = field.isosurface()
    beside = replace(mesh, positions=mesh.positions + np.array([0.0, 10.0, 0.0]))
    assert lost_parts(beside, view, field.forward_density, field.bbox) is None


def test_an_outline_that_is_off_by_little_is_no_lost_part():
    mask = np.zeros((32, 32), dtype=bool)
    mask[4:28, 4:28] = True
    hit = np.zeros_like(mask)
    hit[7:25, 7:25] = True
    assert not lost_pixels(mask, hit).any()
    hit[7:25, 7:14] = False
    assert lost_pixels(mask, hit)[16, 8] and not lost_pixels(mask, hit)[16, 24]


def test_a_union_is_as_deep_as_the_deepest_and_reaches_as_far_as_both():
    near = Solid(lambda points: 1.0 - points[:, 0], np.array([[-1.0, 0, 0], [1, 1, 1]]))
    far = Solid(lambda points: points[:, 0] - 2.0, np.array([[0.0, -1, 0], [4, 1, 1]]))
    both = union(near, None, far)
    assert both.depth(np.array([[0.0, 0, 0], [3.0, 0, 0]])).tolist() == [1.0, 1.0]
    assert both.box.tolist() == [[-1, -1, 0], [4, 1, 1]]
    assert union(None, None) is None


def test_a_hit_is_found_where_the_camera_looks():
    field, view = AnalyticGeometry(sphere(RADIUS), resolution=96), picture(rod=False)
    depth = FirstHits(field.isosurface(), view).depth_map(65, 65)
    row, column, known = view.nearest_pixels(np.array([[RADIUS, 0, 0], [0, 5.0, 0]]), 65, 65)
    assert (row[0], column[0], known.tolist()) == (32, 32, [True, False])
    assert depth[32, 32] == pytest.approx(3.8 - RADIUS, abs=0.01)


def test_what_floats_off_is_no_rim_of_a_hollow(monkeypatch):
    """A filled hollow between it and the rest would tie it to the rest."""
    seen = []
    monkeypatch.setattr(mesh_exporter, "filled_pits", lambda mesh, view: seen.append(mesh))
    speck = sphere(0.04, (0.75, 0.0, 0.3))
    field = AnalyticGeometry(lambda points: torch.minimum(sphere(RADIUS)(points), speck(points)), resolution=96)
    exporter = MeshExporter({}, geometry=field, material=None, background=None)
    exporter.reference = picture(rod=False)
    assert field.isosurface().positions[:, 0].max() > 0.7
    assert exporter.surface().positions[:, 0].max() < RADIUS + 0.05
    assert seen and all(mesh.positions[:, 0].max() < RADIUS + 0.05 for mesh in seen)


def test_a_part_that_came_back_has_the_pictures_colours_on_all_sides():
    view = picture(rod=True)
    view.rgba[..., :3] = [0.0, 0.0, 1.0]
    material = AnalyticMaterial(lambda points: torch.zeros_like(points) + torch.tensor([1.0, 0.0, 0.0]))
    cfg = {"fmt": "obj", "match_colors": False}
    exporter = MeshExporter(cfg, geometry=BallWithAFaintRod(), material=material, background=None)
    exporter.reference = view
    mesh = exporter.colored(exporter.surface())
    top = mesh.positions[:, 2] > 0.5
    behind_the_ball = mesh.positions[:, 0] < -0.3
    assert top.any() and np.allclose(mesh.colors[top], [0.0, 0.0, 1.0], atol=0.02)
    assert np.allclose(mesh.colors[behind_the_ball], [1.0, 0.0, 0.0], atol=0.02)
