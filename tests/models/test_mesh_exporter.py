"""From a field that is known exactly to files, and back."""

import numpy as np
import pytest
import torch
from analytic_field import AnalyticGeometry, AnalyticMaterial, position_color, sphere, torus, union
from scipy import ndimage

import threestudio
from threestudio import cameras
from threestudio.errors import UserError
from threestudio.mesh.files import read_glb, write_glb
from threestudio.mesh.mesh import Mesh, TexturedMesh
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.topology import Topology
from threestudio.models.exporters.mesh_exporter import MeshExporter

SHAPE = union(sphere(0.4), torus(0.45, 0.12))
FAST = {"max_faces": 6000, "texture_size": 512}


def exporter(cfg=None, signed_distance=SHAPE, **geometry) -> MeshExporter:
    field = AnalyticGeometry(signed_distance, **geometry)
    return MeshExporter(FAST | (cfg or {}), geometry=field, material=AnalyticMaterial(position_color), background=None)


def made(by: MeshExporter) -> Mesh | TexturedMesh:
    return by.textured(by.surface())


def blue_picture_from_the_front() -> ReferenceView:
    angles = [torch.tensor([angle], dtype=torch.float64) for angle in (0.0, 0.0, 3.8)]
    rgba = np.broadcast_to([0.0, 0.0, 1.0, 1.0], (64, 64, 4)).copy()
    return ReferenceView(rgba, cameras.orbit(*angles)[0].numpy(), 20.0)


def points_and_colours(mesh, count=20_000):
    """Random points of the surface, and the texture's bilinear colour there, without any renderer."""
    random = np.random.default_rng(0)
    face = random.choice(len(mesh.faces), count, p=mesh.area_faces / mesh.area)
    barycentric = random.dirichlet((1.0, 1.0, 1.0), count)
    points = np.einsum("pk,pkc->pc", barycentric, mesh.vertices[mesh.faces[face]])
    uv = np.einsum("pk,pkc->pc", barycentric, mesh.visual.uv[mesh.faces[face]])
    image = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")) / 255.0
    height, width = image.shape[:2]
    place = [(1.0 - uv[:, 1]) * height - 0.5, uv[:, 0] * width - 0.5]
    channels = [ndimage.map_coordinates(image[..., c], place, order=1, mode="nearest") for c in range(3)]
    return points, np.stack(channels, axis=-1)


@pytest.fixture(scope="module")
def exported() -> TexturedMesh:
    return made(exporter())


def test_the_texture_read_back_from_the_glb_has_the_fields_colours(exported, tmp_path):
    mesh = read_glb(write_glb(tmp_path / "model.glb", exported)[0])
    points, colours = points_and_colours(mesh)
    expected = position_color(torch.from_numpy(points).float()).numpy()
    assert -10.0 * np.log10(((colours - expected) ** 2).mean()) > 35.0
    assert np.abs(colours - expected).max() < 0.2  # not even on a seam


def test_the_surface_is_closed_within_budget_and_has_the_shapes_topology(exported):
    surface = exported.mesh.to_trimesh()
    assert surface.is_watertight
    assert surface.body_count == 1
    assert len(surface.faces) <= FAST["max_faces"]
    assert surface.volume > 0


def test_a_floater_is_left_out():
    surface = exporter(signed_distance=union(SHAPE, sphere(0.06, (0.8, 0.8, 0.8)))).surface()
    assert surface.positions.max() < 0.75


def test_the_picture_is_on_the_front_and_the_field_on_the_back(tmp_path):
    with_picture = exporter({"match_colors": False})
    with_picture.reference = blue_picture_from_the_front()
    mesh = read_glb(write_glb(tmp_path / "model.glb", made(with_picture))[0])
    points, colours = points_and_colours(mesh)
    centre = (points[:, 0] > 0.5) & (np.abs(points[:, 1]) < 0.15) & (np.abs(points[:, 2]) < 0.05)
    back = points[:, 0] < -0.3
    assert np.allclose(colours[centre], [0.0, 0.0, 1.0], atol=0.01)
    expected = position_color(torch.from_numpy(points[back]).float()).numpy()
    assert -10.0 * np.log10(((colours[back] - expected) ** 2).mean()) > 35.0


def test_the_picture_is_left_out_on_demand(exported):
    without = exporter({"project_image": False})
    without.reference = blue_picture_from_the_front()
    assert np.array_equal(made(without).albedo, exported.albedo)


def test_the_same_field_gives_the_same_mesh(exported):
    again = made(exporter())
    assert np.array_equal(again.mesh.positions, exported.mesh.positions)
    assert np.array_equal(again.uv, exported.uv)
    assert np.array_equal(again.albedo, exported.albedo)


@pytest.mark.parametrize(
    ("fmt", "names"),
    [
        ("glb+obj", ["model.glb", "model.obj"]),
        ("glb", ["model.glb"]),
        ("obj-mtl", ["model.obj"]),
        ("glb+stl+ply", ["model.glb", "model.stl", "model.ply"]),
    ],
)
def test_each_format_names_what_is_to_be_saved(fmt, names):
    outputs = exporter({"fmt": fmt, "texture_size": 64, "max_faces": 500})()
    assert [output.save_name for output in outputs] == names
    assert [output.save_type for output in outputs] == [name.split(".")[1] for name in names]
    for output in outputs:
        mesh = output.params["mesh"]
        assert (mesh.colors if output.save_type in ("ply", "stl") else mesh.albedo) is not None


def test_a_size_in_millimetres_is_the_largest_side_and_metres_in_the_glb():
    glb, stl = exporter({"fmt": "glb+stl", "size_mm": 80.0, "texture_size": 64, "max_faces": 500})()
    side = np.ptp(stl.params["mesh"].positions, axis=0).max()
    assert stl.params["scale"] * side == pytest.approx(80.0)
    assert glb.params["scale"] * side == pytest.approx(0.080)


@pytest.mark.parametrize("max_faces", [5000, 1000, 300])
def test_every_face_budget_gives_a_closed_manifold_mesh_of_as_many_parts(max_faces):
    surface = exporter({"max_faces": max_faces}).surface()
    assert len(surface.faces) <= max_faces
    assert Topology.of(surface.faces, len(surface.positions)).is_closed
    assert surface.to_trimesh().body_count == 1


def test_a_budget_that_cannot_be_met_is_said(caplog):
    surface = exporter({"max_faces": 12}).surface()
    assert len(surface.faces) > 12
    assert f"max_faces=12: {len(surface.faces)} faces stay" in caplog.text


def test_upstreams_obj_format_has_colours_at_the_vertices():
    (output,) = exporter({"fmt": "obj"})()
    mesh = output.params["mesh"]
    assert isinstance(mesh, Mesh)
    expected = position_color(torch.from_numpy(mesh.positions).float()).numpy()
    # One sample of the layer that is seen: 0.02 deep, and the colour changes by at most 3.15 over a unit length.
    assert np.abs(mesh.colors - expected).max() < 0.02 * 3.15 + 0.01


def test_a_material_without_albedo_gives_a_mesh_without_texture():
    plain = exporter()
    plain.material.export = lambda **_: {}
    assert made(plain).albedo is None


def test_upstreams_keys_are_accepted():
    keys = {"save_video": True, "context_type": "cuda", "texture_format": "jpg", "xatlas_pack_options": {"padding": 4}}
    assert exporter(keys).cfg.context_type == "cuda"


@pytest.mark.parametrize(("key", "value"), [("fmt", "gltf"), ("texture_format", "tga")])
def test_an_unknown_format_is_refused_with_the_known_ones(key, value):
    with pytest.raises(UserError, match=f'{key}: "{value}" is unknown'):
        exporter({key: value})()


def test_an_empty_field_is_refused():
    with pytest.raises(UserError, match="empty field"):
        exporter(solid=0.01)()


def test_the_component_is_registered_under_upstreams_name():
    assert threestudio.find("mesh-exporter") is MeshExporter
