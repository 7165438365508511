"""Every texel belongs to one place on the surface."""

import numpy as np
import pytest
import trimesh

from threestudio.errors import UserError
from threestudio.mesh.atlas import pad, rasterise, unwrap
from threestudio.mesh.mesh import Mesh, TexturedMesh

SIZE = 256


@pytest.fixture(scope="module")
def unwrapped() -> TexturedMesh:
    solid = trimesh.creation.torus(major_radius=0.5, minor_radius=0.2, major_sections=48, minor_sections=24)
    return unwrap(Mesh(np.array(solid.vertices), np.array(solid.faces)), SIZE, {}, {})


def on_the_square(corners) -> TexturedMesh:
    """Triangles that are given by their texture coordinates alone."""
    uv = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    faces = np.arange(len(uv)).reshape(-1, 3)
    mesh = Mesh(np.pad(uv, ((0, 0), (0, 1))), faces)
    return TexturedMesh(mesh, uv, faces, np.arange(len(uv)))


def test_texture_coordinates_lie_in_the_unit_square(unwrapped):
    assert unwrapped.uv.min() >= 0.0
    assert unwrapped.uv.max() <= 1.0


def test_faces_keep_their_order_and_their_positions(unwrapped):
    assert np.array_equal(unwrapped.uv_vertices[unwrapped.uv_faces], unwrapped.mesh.faces)


def test_no_texel_is_claimed_by_two_charts(unwrapped):
    """The faces' areas in texels add up to the texels covered."""
    corners = unwrapped.uv[unwrapped.uv_faces] * SIZE
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()
    assert rasterise(unwrapped, SIZE).covered.sum() == pytest.approx(area, rel=0.02)


def test_texels_are_mapped_to_their_own_texture_coordinate(unwrapped):
    texels = rasterise(unwrapped, SIZE)
    row, column = np.nonzero(texels.covered)
    expected = np.stack([(column + 0.5) / SIZE, 1.0 - (row + 0.5) / SIZE], axis=-1)
    assert np.allclose(texels.interpolate(unwrapped.uv, unwrapped.uv_faces), expected, atol=1e-9)


def test_two_triangles_of_a_square_cover_each_texel_once():
    square = on_the_square([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)])
    texels = rasterise(square, 16)
    assert texels.covered.all()
    assert len(texels.face) == 16 * 16


def test_row_zero_is_the_top_of_the_texture():
    top_left = on_the_square([(0, 1), (0, 0.5), (0.5, 1)])
    covered = rasterise(top_left, 8).covered
    assert covered[0, 0]
    assert not covered[4:].any()


def test_a_triangle_without_area_covers_nothing():
    assert not rasterise(on_the_square([(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)]), 16).covered.any()


def test_padding_continues_the_nearest_colour_and_leaves_covered_texels():
    image, covered = np.zeros((8, 8, 3)), np.zeros((8, 8), dtype=bool)
    image[2, 2], image[6, 6] = 0.25, 0.75
    covered[2, 2] = covered[6, 6] = True
    padded = pad(image, covered)
    assert np.array_equal(padded[covered], image[covered])
    assert (padded[:3, :3] == 0.25).all()
    assert (padded[6:, 6:] == 0.75).all()


def test_no_background_shows_in_any_mip_level(unwrapped):
    """A white object on a black atlas stays white however far the texture is scaled down."""
    covered = rasterise(unwrapped, SIZE).covered
    level = pad(np.repeat(covered[..., None], 3, axis=-1).astype(np.float64), covered)
    while len(level) > 1:
        level = level.reshape(len(level) // 2, 2, len(level) // 2, 2, 3).mean(axis=(1, 3))
        assert (level == 1.0).all()


def test_options_reach_xatlas_and_unknown_ones_are_named(unwrapped):
    mesh = unwrapped.mesh
    assert len(unwrap(mesh, SIZE, {"max_chart_area": 1e-3}, {}).uv) > len(unwrapped.uv)
    with pytest.raises(UserError, match="system.exporter.xatlas_chart_options: unknown option max_costs; "):
        unwrap(mesh, SIZE, {"max_costs": 1.0}, {})
    with pytest.raises(UserError, match='system.exporter.xatlas_pack_options.padding: "wide" is not of type int'):
        unwrap(mesh, SIZE, {}, {"padding": "wide"})
