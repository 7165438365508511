"""The level at which a solid looks like its volume rendering."""

import numpy as np
import pytest

from threestudio.mesh.surface_level import haze_of, rendering_level

STEP = 2.0 / 47


def ball_in_haze(solid: float, haze: float) -> np.ndarray:
    axis = np.linspace(-1.0, 1.0, 48)
    radius = np.linalg.norm(np.stack(np.meshgrid(axis, axis, axis, indexing="ij")), axis=0)
    return np.where(radius < 0.5, solid, haze).astype(np.float32)


@pytest.mark.parametrize("haze", [0.0, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("solid", [15.0, 100.0, 1000.0])
def test_the_level_lies_between_the_haze_and_the_ball(solid, haze):
    density = ball_in_haze(solid, haze)
    assert haze < rendering_level(density, STEP, haze_of(density)) < solid


def test_haze_is_measured_where_no_object_is():
    assert haze_of(ball_in_haze(100.0, 0.3)) == pytest.approx(0.3)


def test_no_level_is_found_where_no_ray_is_opaque():
    assert rendering_level(ball_in_haze(solid=0.5, haze=0.01), STEP) is None


def test_denser_units_scale_the_level_alike():
    """Halving every length doubles every density: the same picture, so the same solid."""
    grid = ball_in_haze(solid=40.0, haze=0.2)
    assert rendering_level(2.0 * grid, STEP / 2.0) == pytest.approx(2.0 * rendering_level(grid, STEP))


def test_a_fading_ball_is_cut_where_half_of_the_light_is_gone():
    """Density rises inwards: the solid's outline must be the rendering's half-opacity outline, within two cells."""
    axis = np.linspace(-1.0, 1.0, 96)
    step = axis[1] - axis[0]
    radius = np.linalg.norm(np.stack(np.meshgrid(axis, axis, axis, indexing="ij")), axis=0)
    density = 40.0 * np.maximum(0.6 - radius, 0.0)
    solid_outline = (density > rendering_level(density, step)).any(axis=0)
    opaque_outline = density.sum(axis=0) * step > np.log(2.0)
    radii = [np.sqrt(outline.sum() * step**2 / np.pi) for outline in (solid_outline, opaque_outline)]
    assert abs(radii[0] - radii[1]) < 2.0 * step
