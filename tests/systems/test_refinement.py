"""The second stage as a part of a run: kept, gone on with, and taken as it is by another export."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from analytic_field import AnalyticGeometry, sphere
from mesh.test_picture_volume import shape_of, view_of

from threestudio.mesh.surface_stage import SurfaceConfig, SurfaceFit
from threestudio.systems import refinement
from threestudio.systems.refinement import refined_surface

CONFIG = SurfaceConfig(faces=1500, steps=4, field_views=3, field_size=32)


class Ball(AnalyticGeometry, torch.nn.Module):
    def __init__(self, radius: float) -> None:
        torch.nn.Module.__init__(self)
        AnalyticGeometry.__init__(self, sphere(radius), radius=0.7)
        self.register_buffer("radius", torch.tensor(radius))


def blank_renderer(height, width, rays_o, **_):
    nothing = torch.zeros(1, height, width, 1)
    return {"opacity": nothing, "comp_rgb": nothing.expand(-1, -1, -1, 3), "comp_rgb_bg": nothing.expand(-1, -1, -1, 3)}


def system(tmp_path, radius: float = 0.4):
    return SimpleNamespace(
        geometry=Ball(radius),
        renderer=blank_renderer,
        device=torch.device("cpu"),
        true_global_step=7,
        get_save_dir=lambda: str(tmp_path / "save"),
    )


@pytest.fixture
def view():
    return view_of(shape_of(sphere(0.4)))


@pytest.fixture
def steps_taken(monkeypatch):
    taken = []
    step = SurfaceFit._take_step
    monkeypatch.setattr(SurfaceFit, "_take_step", lambda fit: (taken.append(fit.step), step(fit))[1])
    return taken


def test_a_second_export_takes_the_surface_as_it_is(tmp_path, view, steps_taken):
    first = refined_surface(system(tmp_path), view, CONFIG).mesh
    assert steps_taken == [0, 1, 2, 3]
    again = refined_surface(system(tmp_path), view, CONFIG).mesh
    assert steps_taken == [0, 1, 2, 3]
    assert np.array_equal(first.positions, again.positions)
    assert [path.name for path in (tmp_path / "ckpts").iterdir()] == ["surface-it7.ckpt"]


def test_a_killed_fit_goes_on_where_it_was_last_kept(tmp_path, view, steps_taken, monkeypatch):
    whole = refined_surface(system(tmp_path / "whole"), view, CONFIG).mesh
    steps_taken.clear()
    monkeypatch.setattr(refinement, "EVERY_SECONDS", 0.0)
    take = SurfaceFit._take_step

    def dies_at_two(fit):
        if fit.step == 2:
            raise SystemExit(137)
        take(fit)

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(SurfaceFit, "_take_step", dies_at_two)
        refined_surface(system(tmp_path / "killed"), view, CONFIG)
    again = refined_surface(system(tmp_path / "killed"), view, CONFIG).mesh
    assert steps_taken == [0, 1, 2, 3]
    assert np.array_equal(again.positions, whole.positions)


@pytest.mark.parametrize("change", ["field", "settings", "picture"])
def test_another_field_other_settings_or_another_picture_begin_anew(tmp_path, view, steps_taken, change):
    refined_surface(system(tmp_path), view, CONFIG)
    steps_taken.clear()
    radius = 0.39 if change == "field" else 0.4
    config = SurfaceConfig(faces=1500, steps=5, field_views=3, field_size=32) if change == "settings" else CONFIG
    shown = view_of(shape_of(sphere(0.38))) if change == "picture" else view
    refined_surface(system(tmp_path, radius), shown, config)
    assert steps_taken[0] == 0


def test_a_damaged_file_is_named_and_the_surface_is_fitted_anew(tmp_path, view, steps_taken, caplog):
    (tmp_path / "ckpts").mkdir()
    (tmp_path / "ckpts" / "surface-it7.ckpt").write_bytes(b"PK\x03\x04 and no more")
    refined_surface(system(tmp_path), view, CONFIG)
    assert steps_taken == [0, 1, 2, 3]
    assert "surface-it7.ckpt" in caplog.text and "the surface is fitted anew" in caplog.text
