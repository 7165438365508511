import numpy as np
import pytest

from studies.objects import family_names, make_object, patterns, shapes, texture
from studies.objects.sculptor import Sculptor


def texels_at_vertices(mesh):
    image = np.asarray(mesh.visual.material.baseColorTexture)
    x, y = mesh.visual.uv[:, 0] * image.shape[1] - 0.5, (1 - mesh.visual.uv[:, 1]) * image.shape[0] - 0.5
    return image[np.rint(y).astype(int), np.rint(x).astype(int)].astype(int)


@pytest.mark.parametrize("family", family_names())
def test_a_textured_object_is_the_coloured_one(family):
    coloured, textured = make_object(3, family), make_object(3, family, texture_size=1024)
    assert len(textured.faces) == len(coloured.faces)
    assert textured.volume == pytest.approx(coloured.volume)
    # Corner by corner, in the order of the faces: the same places, and colours but where a pattern has an edge.
    corners = np.asarray(textured.vertices)[textured.faces]
    np.testing.assert_array_equal(corners, np.asarray(coloured.vertices)[coloured.faces])
    seen = texels_at_vertices(textured)[textured.faces]
    expected = np.asarray(coloured.visual.vertex_colors)[coloured.faces][..., :3].astype(int)
    assert (np.abs(seen - expected).max(axis=-1) > 12).mean() < 0.15


def test_a_texture_shows_what_the_mesh_is_too_coarse_for():
    s = Sculptor(np.random.default_rng(0))
    black, white = np.zeros(3), np.ones(3)
    ball = patterns.painted([s.ball((0, 0, 0), 0.5)], patterns.bands([black, white], 40))
    column = np.asarray(texture.textured(ball, 512).visual.material.baseColorTexture)[:, 40, 0] > 127
    assert np.abs(np.diff(column.astype(int))).sum() >= 39
    assert len(np.unique(ball[0].vertices[:, 2].round(6))) < 20


def test_rectangles_and_their_gutters_do_not_overlap():
    parts = [shapes.box((1, 2, 0.5), 2), shapes.lathe(np.array([(0, 0), (0.5, 0.1), (0, 1.0)]), 8)]
    charts = [chart for part in parts for chart in texture.charts_of(part)]
    density, corners = texture.packed(charts, 256)
    used = np.zeros((256, 256), int)
    for chart, (y, x) in zip(charts, corners, strict=True):
        height, width = np.add(chart.texels(density), 2 * texture.GUTTER)
        used[y : y + height, x : x + width] += 1
        assert y + height <= 256 and x + width <= 256
    assert used.max() == 1
    assert used.mean() > 0.5


def test_texels_are_of_one_size_on_all_surfaces():
    charts = texture.charts_of(shapes.box((1, 2, 0.5), 2))
    density, _ = texture.packed(charts, 256)
    for chart in charts:
        np.testing.assert_allclose(np.divide(chart.texels(density), chart.lengths()), density, rtol=0.05)


def test_normals_are_smooth_where_a_grid_closes():
    s = Sculptor(np.random.default_rng(0))
    mesh = texture.textured([s.ball((0, 0, 0), 0.5)], 128)
    normals, places = np.asarray(mesh.vertex_normals), np.asarray(mesh.vertices)
    inner = np.abs(places[:, 2]) < 0.4
    np.testing.assert_allclose(normals[inner], places[inner] / 0.5, atol=0.1)


def test_a_texture_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="6 surfaces do not fit on a texture of 8 texels; take a larger one"):
        texture.textured([shapes.box((1, 1, 1), 2)], 8)
