"""The files, as independent readers see them."""

import io

import numpy as np
import pygltflib
import pytest
import torch
import trimesh
from PIL import Image

from threestudio import cameras
from threestudio.errors import UserError
from threestudio.mesh.atlas import unwrap
from threestudio.mesh.files import read_glb, write_glb, write_obj, write_ply, write_stl
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.reference_view import ReferenceView

SIZE = 64


@pytest.fixture(scope="module")
def textured():
    """A box, longest along the front direction +x, red on top, whose texture names every texel's row and column."""
    solid = trimesh.creation.box(extents=(1.0, 0.6, 0.4)).subdivide()
    row, column = np.mgrid[:SIZE, :SIZE]
    albedo = np.stack([row * 4, column * 4, np.full_like(row, 128)], axis=-1).astype(np.uint8)
    mesh = Mesh(np.array(solid.vertices), np.array(solid.faces))
    unwrapped = unwrap(mesh, SIZE, {}, {})
    return unwrapped.__class__(mesh, unwrapped.uv, unwrapped.uv_faces, unwrapped.uv_vertices, albedo)


def accessor(gltf: pygltflib.GLTF2, index: int, columns: int) -> np.ndarray:
    kinds = {pygltflib.FLOAT: np.float32, pygltflib.UNSIGNED_SHORT: np.uint16, pygltflib.UNSIGNED_INT: np.uint32}
    entry = gltf.accessors[index]
    view = gltf.bufferViews[entry.bufferView]
    start = (view.byteOffset or 0) + (entry.byteOffset or 0)
    return np.frombuffer(
        gltf.binary_blob(),
        kinds[entry.componentType],
        entry.count * {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[entry.type],
        start,
    ).reshape(-1, columns)


def parse_obj(path):
    """A reader of our own, so that writing and reading do not share a mistake."""
    rows = {"v": [], "vt": [], "vn": [], "f": []}
    for line in path.read_text().splitlines():
        keyword, _, rest = line.partition(" ")
        if keyword == "f":
            rows["f"].append([[int(number or 0) - 1 for number in corner.split("/")] for corner in rest.split()])
        elif keyword in rows:
            rows[keyword].append([float(number) for number in rest.split()])
    return {keyword: np.array(values) for keyword, values in rows.items()}


def test_glb_is_gltf_2_with_one_pbr_material_and_the_texture_embedded(textured, tmp_path):
    gltf = pygltflib.GLTF2().load(write_glb(tmp_path / "model.glb", textured)[0])
    assert gltf.asset.version == "2.0"
    (material,) = gltf.materials
    assert material.pbrMetallicRoughness.metallicFactor == 0.0
    assert material.pbrMetallicRoughness.roughnessFactor == pytest.approx(0.95)
    assert not material.doubleSided
    texture = gltf.textures[material.pbrMetallicRoughness.baseColorTexture.index]
    image = gltf.images[texture.source]
    assert image.mimeType == "image/png"
    view = gltf.bufferViews[image.bufferView]
    png = gltf.binary_blob()[view.byteOffset or 0 : (view.byteOffset or 0) + view.byteLength]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), textured.albedo)


def test_glb_is_y_up_with_the_front_towards_z_and_normals_outwards(textured, tmp_path):
    gltf = pygltflib.GLTF2().load(write_glb(tmp_path / "model.glb", textured)[0])
    primitive = gltf.meshes[0].primitives[0]
    positions = accessor(gltf, primitive.attributes.POSITION, 3)
    normals = accessor(gltf, primitive.attributes.NORMAL, 3)
    assert np.allclose(np.ptp(positions, axis=0), [0.6, 0.4, 1.0])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
    faces = accessor(gltf, primitive.indices, 3)
    corners = positions[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("fc,fc->f", face_normals, corners.mean(axis=1)) > 0).all()
    assert ((normals * positions).sum(axis=1) > 0).all()


def test_glb_texture_coordinates_count_v_from_the_top(textured, tmp_path):
    gltf = pygltflib.GLTF2().load(write_glb(tmp_path / "model.glb", textured)[0])
    uv = accessor(gltf, gltf.meshes[0].primitives[0].attributes.TEXCOORD_0, 2)
    assert np.allclose(uv, textured.uv * [1, -1] + [0, 1], atol=1e-6)


def test_a_glb_read_back_is_in_world_axes_again(textured, tmp_path):
    mesh = read_glb(write_glb(tmp_path / "model.glb", textured)[0])
    assert np.allclose(mesh.vertices[mesh.faces], textured.mesh.positions[textured.mesh.faces], atol=1e-6)
    assert np.array_equal(np.asarray(mesh.visual.material.baseColorTexture), textured.albedo)
    assert np.allclose(mesh.visual.uv, textured.uv, atol=1e-6)


def test_obj_names_its_material_and_the_material_its_texture(textured, tmp_path):
    paths = write_obj(tmp_path / "model.obj", textured)
    assert sorted(path.name for path in paths) == ["model.mtl", "model.obj", "model_albedo.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.mtl", "model.obj", "model_albedo.png"]
    assert "mtllib model.mtl\nusemtl albedo\n" in paths[0].read_text()
    assert "map_Kd model_albedo.png\n" in (tmp_path / "model.mtl").read_text()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "model_albedo.png")), textured.albedo)


def test_a_name_with_spaces_leaves_none_in_the_names_that_obj_and_mtl_refer_to(textured, tmp_path):
    paths = write_obj(tmp_path / "my red mug.obj", textured)
    assert sorted(path.name for path in paths) == ["my red mug.obj", "my_red_mug.mtl", "my_red_mug_albedo.png"]
    assert trimesh.load(paths[0]).visual.material.image.size == (SIZE, SIZE)


def test_ply_and_stl_stand_on_a_table_with_the_front_towards_the_viewer_in_the_units_asked_for(textured, tmp_path):
    """Width along x, depth along y (front at -y), height along z."""
    surface = textured.mesh
    front_is_red = np.where(surface.positions[:, :1] > 0, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    colored = Mesh(surface.positions, surface.faces, front_is_red)
    for path in (*write_ply(tmp_path / "a.ply", colored, 50.0), *write_stl(tmp_path / "a.stl", colored, 50.0)):
        read = trimesh.load(path)
        assert np.allclose(read.extents, [30.0, 50.0, 20.0], atol=1e-4)
        assert read.is_watertight and read.volume > 0
    ply = trimesh.load(tmp_path / "a.ply")
    assert (ply.visual.vertex_colors[ply.vertices[:, 1] < 0, 0] == 255).all()


@pytest.mark.parametrize("scale", [1.0, 0.08])
def test_through_the_cameras_of_the_glb_the_mesh_is_seen_as_in_the_picture(textured, tmp_path, scale):
    """An OpenGL renderer's arithmetic, from what stands in the file alone."""
    angles = [torch.tensor([angle], dtype=torch.float64) for angle in (20.0, 0.0, 3.8)]
    view = ReferenceView(np.zeros((64, 64, 4)), cameras.orbit(*angles)[0].numpy(), 20.0)
    gltf = pygltflib.GLTF2().load(write_glb(tmp_path / "model.glb", textured, scale, view)[0])
    (camera,) = gltf.cameras
    (node,) = [node for node in gltf.nodes if node.camera is not None]
    positions = accessor(gltf, gltf.meshes[0].primitives[0].attributes.POSITION, 3)
    in_axes = np.c_[positions, np.ones(len(positions))] @ np.linalg.inv(np.array(node.matrix).reshape(4, 4))
    across = in_axes[:, :2] / -in_axes[:, 2:3] / np.tan(camera.perspective.yfov / 2)
    across[:, 0] /= camera.perspective.aspectRatio
    row, column = view.pixels(textured.mesh.positions[textured.uv_vertices], 64, 64)
    assert camera.type == "perspective" and camera.perspective.znear < 3 * scale
    assert np.allclose(0.5 * (1 + across[:, 0]) * 64 - 0.5, column, atol=1e-3)
    assert np.allclose(0.5 * (1 - across[:, 1]) * 64 - 0.5, row, atol=1e-3)


def test_obj_shares_positions_between_charts(textured, tmp_path):
    """Otherwise a modelling program would open it as torn along every seam."""
    obj = parse_obj(write_obj(tmp_path / "model.obj", textured)[0])
    surface = textured.mesh
    assert len(obj["v"]) == len(surface.positions) < len(obj["vt"])
    assert np.array_equal(obj["f"][..., 0], surface.faces)
    assert np.array_equal(obj["f"][..., 1], textured.uv_faces)
    assert np.allclose(obj["vt"], textured.uv, atol=1e-6)


def test_obj_is_y_up_with_normals_outwards(textured, tmp_path):
    obj = parse_obj(write_obj(tmp_path / "model.obj", textured)[0])
    assert np.allclose(np.ptp(obj["v"], axis=0), [0.6, 0.4, 1.0])
    assert ((obj["v"] * obj["vn"]).sum(axis=1) > 0).all()


def test_an_independent_reader_opens_the_obj_with_its_texture(textured, tmp_path):
    mesh = trimesh.load(write_obj(tmp_path / "model.obj", textured)[0])
    assert len(mesh.faces) == len(textured.mesh.faces)
    assert mesh.visual.material.image.size == (SIZE, SIZE)


def test_obj_leaves_out_what_is_not_wanted(textured, tmp_path):
    obj = parse_obj(write_obj(tmp_path / "bare.obj", textured, save_normal=False, save_uv=False)[0])
    assert len(obj["vt"]) == len(obj["vn"]) == 0
    assert obj["f"].shape == (len(textured.mesh.faces), 3, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["bare.obj"]


def test_obj_normals_without_texture_coordinates_keep_their_place(textured, tmp_path):
    text = write_obj(tmp_path / "model.obj", textured.mesh)[0].read_text()
    assert text.splitlines()[-1].split()[1].count("//") == 1


def test_vertex_colours_follow_the_positions_in_obj_and_come_back_from_glb(textured, tmp_path):
    surface = textured.mesh
    colored = Mesh(surface.positions, surface.faces, np.linspace(0.0, 1.0, surface.positions.size).reshape(-1, 3))
    obj = parse_obj(write_obj(tmp_path / "model.obj", colored)[0])
    assert np.allclose(obj["v"][:, 3:], colored.colors, atol=1e-6)
    read = read_glb(write_glb(tmp_path / "model.glb", colored)[0])
    assert np.abs(read.visual.vertex_colors[:, :3] / 255.0 - colored.colors).max() < 0.01


def test_a_failed_write_leaves_the_old_file_and_no_rest(textured, tmp_path, monkeypatch):
    (tmp_path / "model.glb").write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_glb(tmp_path / "model.glb", textured)
    assert [path.name for path in tmp_path.iterdir()] == ["model.glb"]
    assert (tmp_path / "model.glb").read_bytes() == b"old"


def test_a_broken_glb_is_refused_by_name(tmp_path):
    (tmp_path / "broken.glb").write_bytes(b"not a mesh, whatever its name says")
    with pytest.raises(UserError, match="broken.glb: not a readable GLB"):
        read_glb(tmp_path / "broken.glb")
