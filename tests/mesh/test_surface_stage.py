"""The fit: outlines come to those of the picture and of the field, and a run that stops goes on as if it had not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from analytic_field import sphere
from mesh.test_picture_volume import C2W, outline_iou, shape_of, view_of

from threestudio import cameras
from threestudio.mesh.differentiable import Camera, PlacedMesh
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.surface_stage import SurfaceConfig, SurfaceFit, field_targets, picture_target, picture_targets
from threestudio.mesh.topology import Topology
from threestudio.mesh.view_colors import FieldView

CONFIG = SurfaceConfig(steps=60, learning_rate=0.01)


def egg(points):
    return (points * torch.tensor([1.0, 1.4, 0.9])).norm(dim=-1) - 0.38


def ball(radius: float) -> Mesh:
    made = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return Mesh(np.array(made.vertices), np.array(made.faces, dtype=np.int64))


def side_view(mesh: Mesh) -> FieldView:
    c2w = cameras.orbit(*[torch.tensor([angle]) for angle in (20.0, 100.0, 3.8)])[0]
    camera = Camera(c2w, 20.0, 96, 96)
    positions = torch.from_numpy(mesh.positions).float()
    placed = PlacedMesh(positions, Topology.of(mesh.faces, len(mesh.positions)))
    opacity = placed.render(camera, samples=3)[..., 0].numpy()
    return FieldView(camera, np.repeat(opacity[..., None], 3, axis=2), opacity)


def side_iou(side: FieldView, mesh: Mesh) -> float:
    seen, wanted = side_view(mesh).opacity > 0.5, side.opacity > 0.5
    return (seen & wanted).sum() / (seen | wanted).sum()


def fit(start: Mesh, truth: Mesh, views, config=CONFIG) -> SurfaceFit:
    return SurfaceFit(start, [picture_target(view_of(truth))], field_targets(views, 0.5), config, seed=0)


def test_a_ball_becomes_the_egg_that_picture_and_field_show():
    truth = shape_of(egg)
    view, side = view_of(truth), side_view(truth)
    start = ball(0.33)
    fitted = fit(start, truth, [side]).run(lambda: None)
    assert outline_iou(start, view) < 0.9
    assert outline_iou(fitted, view) > 0.985

    assert side_iou(side, fitted) > max(0.97, side_iou(side, start))
    assert fitted.to_trimesh().is_watertight and fitted.to_trimesh().volume > 0


def test_a_further_picture_shapes_the_side_that_it_shows():
    truth = shape_of(egg)
    view, side = view_of(truth), side_view(truth)
    rgba = np.concatenate([side.rgb, side.opacity[..., None]], axis=2)
    view = replace(view, further=[ReferenceView(rgba, side.camera.c2w.double().numpy(), 20.0)])
    start = ball(0.33)
    alone, both = (SurfaceFit(start, picture_targets(view, weight), [], CONFIG, seed=0) for weight in (0.0, 0.3))

    assert side_iou(side, both.run(lambda: None)) > 0.1 + side_iou(side, alone.run(lambda: None))


def test_an_interrupted_fit_goes_on_to_the_same_mesh():
    truth = shape_of(egg)
    views = [side_view(truth), side_view(shape_of(sphere(0.4)))]
    config = SurfaceConfig(steps=8)
    whole = fit(ball(0.33), truth, views, config).run(lambda: None)

    kept = []
    first = fit(ball(0.33), truth, views, config)

    def stop_after_five() -> None:
        kept.append(first.state())
        if len(kept) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(stop_after_five)
    again = fit(ball(0.33), truth, views, config)
    again.load_state(kept[-1])
    assert again.step == 5
    assert np.array_equal(again.run(lambda: None).positions, whole.positions)


def test_the_loss_is_measured_in_the_world_not_in_pixels():
    """A picture of twice the resolution pulls as hard."""
    truth, start = view_of(shape_of(egg)), ball(0.36)
    topology = Topology.of(start.faces, len(start.positions))
    gradients = []
    for side in (128, 256):
        target = picture_target(truth)
        camera = Camera(torch.as_tensor(C2W), 20.0, side, side)
        alpha = torch.nn.functional.interpolate(target.coverage[None, None], (side, side), mode="area")[0, 0]
        positions = torch.from_numpy(start.positions).float().requires_grad_()
        loss = type(target)(camera, alpha, 1.0).loss(PlacedMesh(positions, topology))
        gradients.append(torch.autograd.grad(loss, positions)[0])
    assert float(gradients[0].norm() / gradients[1].norm()) == pytest.approx(1.0, rel=0.15)


def test_more_than_512_pixels_of_a_picture_are_not_looked_at():
    view = view_of(shape_of(sphere(0.3)))
    large = type(view)(np.repeat(np.repeat(view.rgba, 3, axis=0), 3, axis=1), view.c2w, view.fovy_deg)
    assert picture_target(large).coverage.shape == (512, 512)
