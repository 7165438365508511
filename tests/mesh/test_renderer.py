import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from threestudio.cameras import orbit
from threestudio.mesh.renderer import render_mesh

FOVY_DEG, DISTANCE = 20.0, 3.8


def camera(elevation_deg, azimuth_deg, distance=DISTANCE):
    return orbit(torch.tensor([elevation_deg]), torch.tensor([azimuth_deg]), torch.tensor([distance]))


def picture(mesh, elevation_deg=0.0, azimuth_deg=0.0, size=64, **options):
    return render_mesh(mesh, camera(elevation_deg, azimuth_deg), FOVY_DEG, size, size, **options)[0]


def coloured_box(face_rgb):
    """A cube whose faces carry the colour of their outward axis, looked up by (axis, sign)."""
    box = trimesh.creation.box()
    axis = np.abs(box.face_normals).argmax(axis=1)
    sign = np.sign(box.face_normals[np.arange(len(axis)), axis])
    rgb = [face_rgb.get((a, s), (128, 128, 128)) for a, s in zip(axis.tolist(), sign.tolist(), strict=True)]
    box.visual.face_colors = np.c_[np.array(rgb), np.full(len(rgb), 255)].astype(np.uint8)
    return box


def textured_quad(image):
    """A unit square in the yz plane, facing +x, with the picture upright as seen from +x."""
    vertices = [(0, -0.5, -0.5), (0, 0.5, -0.5), (0, 0.5, 0.5), (0, -0.5, 0.5)]
    quad = trimesh.Trimesh(vertices, [(0, 1, 2), (0, 2, 3)], process=False)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=image)
    quad.visual = trimesh.visual.TextureVisuals(uv=[(0, 0), (1, 0), (1, 1), (0, 1)], material=material)
    return quad


@pytest.mark.parametrize("elevation_deg, azimuth_deg", [(0.0, 0.0), (35.0, 120.0), (-20.0, -70.0)])
def test_a_sphere_covers_its_analytic_disc_from_everywhere(elevation_deg, azimuth_deg):
    radius, size = 0.5, 96
    alpha = picture(trimesh.creation.icosphere(5, radius), elevation_deg, azimuth_deg, size)[..., 3]
    half_angle = np.arcsin(radius / DISTANCE)
    disc = np.tan(half_angle) / np.tan(np.deg2rad(FOVY_DEG / 2)) * size / 2
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    reach = np.hypot(x, y)
    assert (alpha[reach < disc - 1.5] == 255).all()
    assert (alpha[reach > disc + 1.5] == 0).all()
    assert alpha.sum() / 255 == pytest.approx(np.pi * disc**2, rel=0.01)


def test_a_cube_seen_face_on_covers_the_square_of_its_near_face():
    size = 96
    alpha = picture(trimesh.creation.box(), size=size)[..., 3]
    side = 1 / (DISTANCE - 0.5) / (2 * np.tan(np.deg2rad(FOVY_DEG / 2))) * size
    assert alpha.sum() / 255 == pytest.approx(side**2, rel=0.02)


def test_the_plus_y_side_lies_right_of_the_centre_seen_from_plus_x():
    blobs = [trimesh.creation.icosphere(2, 0.1).apply_translation((0, y, 0)) for y in (-0.4, 0.4)]
    blobs[0].visual.face_colors, blobs[1].visual.face_colors = (0, 0, 255, 255), (255, 0, 0, 255)
    image = picture(trimesh.util.concatenate(blobs))
    red = (image[..., 0] > 128) & (image[..., 3] == 255)
    assert red.any() and np.nonzero(red)[1].min() > 32


def test_the_top_of_the_object_is_in_the_upper_rows():
    image = picture(trimesh.creation.icosphere(2, 0.1).apply_translation((0, 0, 0.4)))
    assert image[32:, :, 3].max() == 0 and image[:32, :, 3].max() == 255


@pytest.mark.parametrize("azimuth_deg, key", [(0.0, (0, 1)), (90.0, (1, 1)), (180.0, (0, -1)), (-90.0, (1, -1))])
def test_each_azimuth_shows_the_face_that_points_to_it(azimuth_deg, key):
    image = picture(coloured_box({key: (10, 200, 30)}), azimuth_deg=azimuth_deg)
    assert image[32, 32].tolist() == [10, 200, 30, 255]


def test_alpha_is_straight_so_that_edge_colours_are_those_of_the_surface():
    mesh = trimesh.creation.icosphere(4, 0.5)
    mesh.visual.vertex_colors = (200, 100, 50, 255)
    image = picture(mesh)
    edge = (image[..., 3] > 0) & (image[..., 3] < 255)
    assert edge.any()
    assert np.abs(image[edge][:, :3].astype(int) - (200, 100, 50)).max() <= 1
    assert (image[image[..., 3] == 0] == 0).all()


def test_vertex_colours_are_interpolated():
    mesh = textured_quad(Image.new("RGB", (2, 2)))
    mesh.visual = trimesh.visual.ColorVisuals(
        mesh, vertex_colors=[(0, 0, 0, 255), (255, 0, 0, 255), (255, 0, 0, 255), (0, 0, 0, 255)]
    )
    assert int(picture(mesh)[32, 32, 0]) == pytest.approx(127, abs=4)


def test_a_texture_appears_upright_and_not_mirrored():
    texels = np.zeros((8, 8, 3), np.uint8)
    texels[:4, :4] = (250, 0, 0)
    texels[:4, 4:] = (0, 250, 0)
    texels[4:, :4] = (0, 0, 250)
    image = picture(textured_quad(Image.fromarray(texels)))
    assert image[20, 20, :3].tolist() == [250, 0, 0]
    assert image[20, 44, :3].tolist() == [0, 250, 0]
    assert image[44, 20, :3].tolist() == [0, 0, 250]


def test_parts_of_a_scene_keep_their_own_colours():
    red, textured = trimesh.creation.icosphere(2, 0.15), textured_quad(Image.new("RGB", (4, 4), (0, 220, 0)))
    red.visual.vertex_colors = (220, 0, 0, 255)
    scene = trimesh.Scene()
    scene.add_geometry(red, transform=trimesh.transformations.translation_matrix((0.3, 0, 0)))
    scene.add_geometry(textured)
    image = picture(scene)
    assert image[32, 32, :3].tolist() == [220, 0, 0]
    assert image[14, 14, :3].tolist() == [0, 220, 0]


def test_diffuse_light_comes_from_above_and_never_darkens_below_three_quarters():
    mesh = trimesh.creation.icosphere(4, 0.5)
    mesh.visual.vertex_colors = (200, 200, 200, 255)
    image = picture(mesh, shading="diffuse", light_azimuth_deg=0.0)[..., 0].astype(int)
    assert image[14, 32] > image[50, 32]
    assert image[image > 0].min() >= 149 and image.max() <= 200


def test_the_light_may_come_from_below_and_leave_the_far_side_dark():
    mesh = trimesh.creation.icosphere(4, 0.5)
    mesh.visual.vertex_colors = (200, 200, 200, 255)
    image = picture(mesh, shading="diffuse", light_elevation_deg=-90.0, ambient=0.0)[..., 0].astype(int)
    assert image[50, 32] > 150 and image[14, 32] < 50
    evenly_lit = picture(mesh, shading="diffuse", ambient=1.0)
    np.testing.assert_array_equal(evenly_lit, picture(mesh, shading="albedo"))


def test_diffuse_shading_does_not_depend_on_the_winding():
    mesh = trimesh.creation.icosphere(3, 0.5)
    inside_out = trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1], process=False)
    difference = picture(mesh, shading="diffuse").astype(int) - picture(inside_out, shading="diffuse")
    assert np.abs(difference).max() <= 1


def test_a_camera_inside_the_box_sees_the_surface_all_around():
    image = render_mesh(trimesh.creation.icosphere(3, 0.5), camera(0.0, 0.0, 0.1), 90.0, 16, 16)[0]
    assert (image[..., 3] == 255).all()


def test_an_object_beyond_the_picture_is_cut_off_not_lost():
    image = picture(trimesh.creation.icosphere(3, 0.5).apply_translation((0, 0.9, 0)))
    assert image[32, 63, 3] == 255 and image[32, 0, 3] == 0


def test_a_mesh_without_faces_gives_an_empty_picture():
    assert picture(trimesh.Trimesh()).max() == 0


def test_an_unknown_shading_is_refused_by_name():
    with pytest.raises(ValueError, match='shading "phong": expected one of albedo, diffuse, clay'):
        picture(trimesh.creation.box(), shading="phong")


def test_clay_is_grey_whatever_the_colours_and_brightest_where_it_faces_the_light_beside_the_camera():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    ball.visual.vertex_colors = np.random.default_rng(0).integers(0, 255, (len(ball.vertices), 4))
    image = picture(ball, shading="clay")
    seen = image[..., 3] == 255
    assert (np.ptp(image[seen][:, :3].astype(int), axis=1) == 0).all()
    row, column = np.unravel_index(np.where(seen, image[..., 0], 0).argmax(), seen.shape)
    assert row < seen.shape[0] / 2 and column < seen.shape[1] / 2
