"""The start: as many parts as the picture shows, full where it is full, nothing that floats."""

import numpy as np
import pytest
import torch
from analytic_field import AnalyticGeometry, sphere, torus, union

from threestudio import cameras
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.picture_volume import PictureGrid, StartConfig, starting_surface
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.renderer import render_mesh
from threestudio.mesh.topology import Topology

ANGLES = [torch.tensor([angle], dtype=torch.float64) for angle in (10.0, 0.0, 3.8)]
C2W = cameras.orbit(*ANGLES)[0]
LEVEL = 50.0
CONFIG = StartConfig(faces=6000)


def view_of(*meshes: Mesh) -> ReferenceView:
    """The picture of known shapes."""
    import trimesh

    both = trimesh.util.concatenate([mesh.to_trimesh() for mesh in meshes])
    rgba = render_mesh(both, C2W[None], 20.0, 256, 256)[0] / 255.0
    return ReferenceView(rgba, C2W.numpy(), 20.0)


def shape_of(signed_distance) -> Mesh:
    return AnalyticGeometry(signed_distance, radius=0.7, resolution=96).isosurface()


def started(signed_distance, view: ReferenceView, config: StartConfig = CONFIG) -> Mesh:
    field = AnalyticGeometry(signed_distance, radius=0.7)
    return starting_surface(view, field.forward_density, field.bbox, LEVEL, config)


def outline_iou(mesh: Mesh, view: ReferenceView) -> float:
    seen = render_mesh(mesh.to_trimesh(), C2W[None], 20.0, 256, 256)[0, ..., 3] > 127
    wanted = view.rgba[..., 3] > 0.5
    return (seen & wanted).sum() / (seen | wanted).sum()


def radius_of(mesh: Mesh) -> float:
    return float(np.linalg.norm(mesh.positions, axis=1).mean())


RING = union(sphere(0.25), torus(0.45, 0.08))


def test_it_is_closed_with_about_the_faces_that_are_asked_for_and_outwards():
    mesh = started(RING, view_of(shape_of(RING)))
    assert Topology.of(mesh.faces, len(mesh.positions)).is_closed
    assert abs(len(mesh.faces) / CONFIG.faces - 1) < 0.15
    assert mesh.to_trimesh().volume > 0


def test_a_ball_keeps_its_radius():
    mesh = started(sphere(0.4), view_of(shape_of(sphere(0.4))))
    assert radius_of(mesh) == pytest.approx(0.4, abs=0.012)


def test_what_floats_in_the_field_and_not_in_the_picture_goes():
    hidden = sphere(0.08, (-0.6, 0.0, 0.0))
    mesh = started(union(sphere(0.3), hidden), view_of(shape_of(sphere(0.3))))
    assert mesh.to_trimesh().body_count == 1
    assert mesh.positions[:, 0].min() > -0.4


def test_two_parts_of_the_picture_stay_two():
    pair = union(sphere(0.2, (0.0, 0.35, 0.0)), sphere(0.2, (0.0, -0.35, 0.0)))
    assert started(pair, view_of(shape_of(pair))).to_trimesh().body_count == 2


def test_a_part_that_the_field_has_lost_is_put_back_in_one_piece():
    handle = union(sphere(0.3), sphere(0.05, (0.0, 0.34, 0.0)), sphere(0.05, (0.0, 0.42, 0.0)))
    view = view_of(shape_of(handle))
    mesh = started(sphere(0.3), view)
    assert mesh.to_trimesh().body_count == 1
    assert outline_iou(mesh, view) > 0.93
    assert outline_iou(started(sphere(0.3), view, StartConfig(faces=6000, fill_missing=False)), view) < 0.93


def test_a_hole_that_the_picture_does_not_show_is_closed_and_one_that_it_shows_stays():
    ring = torus(0.4, 0.1)
    turned = lambda points: ring(points[:, [1, 2, 0]])  # noqa: E731, seen from the front as a ring
    disc = union(turned, lambda points: torch.maximum(sphere(0.4)(points), points[:, 0].abs() - 0.05))
    small_hole = lambda points: torch.maximum(disc(points), 0.03 - points[:, 1:].norm(dim=1))  # noqa: E731
    closed, open_ring = started(small_hole, view_of(shape_of(disc))), started(turned, view_of(shape_of(turned)))
    for mesh, euler in ((closed, 2), (open_ring, 0)):
        topology = Topology.of(mesh.faces, len(mesh.positions))
        assert topology.vertex_count - len(topology.edges) + len(topology.faces) == euler


def test_a_sheet_thinner_than_the_blur_is_not_lost_and_stays_thin():
    def sheet(points):
        beyond = points.abs() - torch.tensor([0.012, 0.35, 0.35])
        return beyond.amax(dim=-1)

    view = view_of(shape_of(lambda points: (points.abs() - torch.tensor([0.03, 0.35, 0.35])).amax(dim=-1)))
    mesh = started(sheet, view, StartConfig(faces=16_000, smoothing=3.0))
    assert outline_iou(mesh, view) > 0.9
    assert np.ptp(np.quantile(mesh.positions[:, 0], [0.1, 0.9])) < 0.15


def test_a_pit_in_the_side_that_the_picture_shows_is_filled():
    def pitted(points):
        pit = (points - torch.tensor([0.4, 0.0, 0.05])).norm(dim=-1) - 0.06
        return torch.maximum(sphere(0.4)(points), -pit)

    view = view_of(shape_of(sphere(0.4)))
    towards = C2W[:3, 2].numpy()
    depths = []
    for widest in (0.0, 0.3):
        along = started(pitted, view, StartConfig(faces=12000, smoothing=1.0, widest_pit=widest)).positions
        in_the_pit = np.linalg.norm(along[:, 1:] - (0.0, 0.05), axis=1) < 0.02
        depths.append((along @ towards)[in_the_pit].max())
    assert depths[1] - depths[0] > 0.03


def test_the_grids_points_fall_on_their_pixels():
    view = view_of(shape_of(sphere(0.3)))
    grid = PictureGrid.around(view, np.array([[-0.7] * 3, [0.7] * 3]), 0.02)
    index = np.array([[0.0, 0.0, 0.0], [10.0, 20.0, 30.0], [31.5, 7.0, 3.0]])
    row, column = view.pixels(grid.points(index), grid.size, grid.size)
    assert np.allclose(np.stack([row, column], axis=1), index[:, :2], atol=1e-6)


def test_a_suggested_solid_moves_the_surface_towards_itself():
    view = view_of(shape_of(sphere(0.4)))
    field = AnalyticGeometry(sphere(0.4), radius=0.7)
    deep = lambda points: ((points * torch.tensor([0.85, 1.0, 1.0])).norm(dim=-1) < 0.4).float()  # noqa: E731
    depths = [
        np.ptp(starting_surface(view, field.forward_density, field.bbox, LEVEL, CONFIG, one).positions[:, 0])
        for one in (None, deep)
    ]
    assert depths[0] + 0.01 < depths[1] < 0.8 / 0.85
