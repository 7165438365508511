"""Writing meshes as OBJ + MTL + texture and as GLB, and reading the GLB back.

Both files are y up with the object's front towards +z, as glTF demands and as OBJ importers (Blender's among them)
assume. Each file appears whole or not at all.
"""

import os
from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int, UInt8
from PIL import Image

from threestudio import cameras
from threestudio.errors import UserError
from threestudio.models.mesh import Mesh, TexturedMesh
from threestudio.utils.atomic import atomic_path

MATERIAL = "albedo"
ROUGHNESS = 0.95

PathLike = str | os.PathLike[str]


def write_obj(
    path: PathLike,
    mesh: Mesh | TexturedMesh,
    save_normal: bool = True,
    save_uv: bool = True,
    texture_format: str = "png",
) -> list[Path]:
    """Write the OBJ; with a texture, its image and the MTL first, so that the OBJ never names a missing file."""
    path = Path(path).with_suffix(".obj")
    surface = mesh.mesh if isinstance(mesh, TexturedMesh) else mesh
    textured = mesh if isinstance(mesh, TexturedMesh) and save_uv else None
    written = []
    if textured is not None and textured.albedo is not None:
        written = _write_material(path, textured.albedo, texture_format)
    text = _obj_text(surface, textured, save_normal, f"{path.stem}.mtl" if written else None)
    with atomic_path(path) as partial:
        partial.write_text(text)
    return [path, *written]


def write_glb(path: PathLike, mesh: Mesh | TexturedMesh) -> list[Path]:
    """One mesh with one material that is neither metallic nor shiny; the texture is embedded as PNG."""
    path = Path(path).with_suffix(".glb")
    data = trimesh.exchange.gltf.export_glb(trimesh.Scene(_to_y_up_trimesh(mesh)), include_normals=True)
    with atomic_path(path) as partial:
        partial.write_bytes(data)
    return [path]


def read_glb(path: PathLike) -> trimesh.Trimesh:
    """The mesh of a GLB in world axes (z up), with its texture or colours."""
    try:
        mesh = trimesh.load(path, file_type="glb", force="mesh", process=False)
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"{path}: not a readable GLB ({error}); export it again") from None
    mesh.vertices = cameras.world_from_gltf(torch.from_numpy(np.array(mesh.vertices))).numpy()
    return mesh


def _write_material(path: Path, albedo: UInt8[np.ndarray, "h w 3"], texture_format: str) -> list[Path]:
    texture, material = path.with_name(f"{path.stem}_albedo.{texture_format}"), path.with_suffix(".mtl")
    with atomic_path(texture) as partial:
        Image.fromarray(albedo).save(partial, quality=95)
    with atomic_path(material) as partial:
        partial.write_text(
            f"newmtl {MATERIAL}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {texture.name}\n",
        )
    return [material, texture]


def _obj_text(surface: Mesh, textured: TexturedMesh | None, save_normal: bool, library: str | None) -> str:
    vertices = _y_up(surface.positions)
    if surface.colors is not None:
        vertices = np.hstack([vertices, surface.colors])
    head = ["# y up, front towards +z"] + ([f"mtllib {library}", f"usemtl {MATERIAL}"] if library else [])
    parts = ["\n".join(head), _rows("v", vertices)]
    indices: list[np.ndarray | None] = [surface.faces, None, None]
    if textured is not None:
        parts.append(_rows("vt", textured.uv))
        indices[1] = textured.uv_faces
    if save_normal:
        parts.append(_rows("vn", _y_up(surface.normals)))
        indices[2] = surface.faces
    parts.append(_face_rows(indices))
    return "\n".join(parts) + "\n"


def _rows(keyword: str, values: Float[np.ndarray, "row column"]) -> str:
    pattern = keyword + " %.6f" * values.shape[1]
    return "\n".join([pattern] * len(values)) % tuple(values.reshape(-1).tolist())


def _face_rows(indices: list[Int[np.ndarray, "face 3"] | None]) -> str:
    """`f v/vt/vn` for each corner, counted from 1; absent ones are left out."""
    given = [index for index in indices if index is not None]
    corner = "/".join("" if index is None else "%d" for index in indices).rstrip("/")
    numbers = np.stack(given, axis=-1) + 1
    return "\n".join([" ".join(["f", *[corner] * 3])] * len(numbers)) % tuple(numbers.reshape(-1).tolist())


def _to_y_up_trimesh(mesh: Mesh | TexturedMesh) -> trimesh.Trimesh:
    """One vertex for each texture coordinate, since glTF knows only one index."""
    if isinstance(mesh, Mesh):
        colors = None if mesh.colors is None else np.rint(mesh.colors * 255).astype(np.uint8)
        return trimesh.Trimesh(
            _y_up(mesh.positions), mesh.faces, vertex_normals=_y_up(mesh.normals), vertex_colors=colors, process=False
        )
    surface = mesh.mesh
    return trimesh.Trimesh(
        _y_up(surface.positions)[mesh.uv_vertices],
        mesh.uv_faces,
        vertex_normals=_y_up(surface.normals)[mesh.uv_vertices],
        visual=trimesh.visual.TextureVisuals(uv=mesh.uv, material=_material(mesh)),
        process=False,
    )


def _material(mesh: TexturedMesh) -> trimesh.visual.material.PBRMaterial:
    return trimesh.visual.material.PBRMaterial(
        name=MATERIAL,
        baseColorTexture=None if mesh.albedo is None else Image.fromarray(mesh.albedo),
        metallicFactor=0.0,
        roughnessFactor=ROUGHNESS,
        doubleSided=False,
    )


def _y_up(vectors: Float[np.ndarray, "row 3"]) -> Float[np.ndarray, "row 3"]:
    return cameras.gltf_from_world(torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float64))).numpy()
