"""One model of a library as GLB: y up, front towards +z, colours as the renderer reads them."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from studies.real_objects.catalogue import Entry
from threestudio.utils.atomic import atomic_path

LARGEST_TEXTURE = 1024  # pixels, longer side


def write_model(entry: Entry, path: Path) -> None:
    """Raises what trimesh raises where the OBJ cannot be read, and ValueError where it has no surface."""
    scene = load_obj(entry)
    turn = np.eye(4)
    turn[:3, :3] = entry.rotation
    scene.apply_transform(turn)
    for mesh in scene.geometry.values():
        mesh.visual = plain(mesh.visual)
    with atomic_path(path) as partial:
        partial.write_bytes(scene.export(file_type="glb"))


def load_obj(entry: Entry) -> trimesh.Scene:
    """With the materials and textures that lie beside it in the zip file."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(entry.collection) as archive:
        beside = entry.file.rpartition("/")[0] + "/"
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(beside)])
        scene = trimesh.load_scene(Path(folder) / entry.file, process=False)
        for key in [key for key, part in scene.geometry.items() if not isinstance(part, trimesh.Trimesh)]:
            del scene.geometry[key]
    if not scene.geometry or not np.isfinite(scene.bounds).all():
        raise ValueError("no surface in the file")
    return scene


def plain(visual: trimesh.visual.TextureVisuals) -> trimesh.visual.TextureVisuals:
    """A texture, or one colour: an OBJ's diffuse colour is not applied over its texture."""
    if visual.kind != "texture":
        return visual
    material = visual.material
    image = getattr(material, "image", None)
    if image is None or visual.uv is None:
        pbr = trimesh.visual.material.PBRMaterial(baseColorFactor=opaque(material.main_color))
        return trimesh.visual.TextureVisuals(uv=visual.uv, material=pbr)
    image = image.convert("RGB")
    image.thumbnail((LARGEST_TEXTURE, LARGEST_TEXTURE), Image.Resampling.BOX)
    pbr = trimesh.visual.material.PBRMaterial(baseColorTexture=image, baseColorFactor=(255, 255, 255, 255))
    return trimesh.visual.TextureVisuals(uv=visual.uv, material=pbr)


def opaque(rgba: np.ndarray) -> np.ndarray:
    return np.array([*rgba[:3], 255], np.uint8)
