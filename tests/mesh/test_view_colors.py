import numpy as np
import torch
import trimesh

from threestudio import cameras
from threestudio.mesh.differentiable import Camera, PlacedMesh
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.topology import Topology
from threestudio.mesh.view_colors import FieldView, colors_from_views

MADE = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
BALL = Mesh(np.array(MADE.vertices), np.array(MADE.faces, dtype=np.int64))
TRUE = 0.5 + 0.4 * BALL.positions / 0.4


def view(azimuth_deg: float, elevation_deg: float = 0.0, opacity: float = 1.0) -> FieldView:
    """The ball in its true colours, see-through by a constant share."""
    c2w = cameras.orbit(*[torch.tensor([float(angle)]) for angle in (elevation_deg, azimuth_deg, 3.8)])[0]
    camera = Camera(c2w, 20.0, 96, 96)
    placed = PlacedMesh(torch.from_numpy(BALL.positions).float(), Topology.of(BALL.faces, len(BALL.positions)))
    image = placed.render(camera, torch.from_numpy(TRUE).float(), samples=2).numpy() * opacity
    return FieldView(camera, image[..., :3], image[..., 3])


def test_views_from_all_sides_give_the_colours_back():
    views = [view(azimuth) for azimuth in range(0, 360, 45)] + [view(0, 80), view(0, -80)]
    assert np.abs(colors_from_views(BALL, views) - TRUE).max() < 0.08
    assert np.abs(colors_from_views(BALL, views) - TRUE).mean() < 0.01


def test_a_see_through_rendering_tells_the_same_colours():
    solid, faint = (colors_from_views(BALL, [view(0.0, opacity=opacity)]) for opacity in (1.0, 0.6))
    front = BALL.positions[:, 0] > 0.2
    assert np.abs(solid - faint)[front].max() < 0.02


def test_what_no_view_sees_gets_the_colours_around_it():
    colors = colors_from_views(BALL, [view(0.0)])
    back = BALL.positions[:, 0] < -0.3
    rim = np.abs(BALL.positions[:, 0]) < 0.05
    assert np.isfinite(colors).all()
    assert np.abs(colors[back].mean(axis=0) - colors[rim].mean(axis=0)).max() < 0.1


def test_a_surface_behind_another_does_not_take_its_colours():
    wall = trimesh.creation.box((0.02, 0.9, 0.9))
    wall.apply_translation((-0.6, 0.0, 0.0))
    both = trimesh.util.concatenate([MADE, wall])
    mesh = Mesh(np.array(both.vertices), np.array(both.faces, dtype=np.int64))
    behind = view(0.0)
    white_wall = np.where(behind.opacity[..., None] > 0, behind.rgb, 1.0), np.ones_like(behind.opacity)
    colors = colors_from_views(mesh, [FieldView(behind.camera, *white_wall)])
    facing = len(BALL.positions) + np.flatnonzero(wall.vertices[:, 0] > -0.6)
    assert colors[facing].min() > 0.9  # its corners look past the ball, and the ball's colours are darker
