"""Writing meshes as OBJ + MTL + texture, GLB, PLY and STL, and reading the GLB back.

OBJ and GLB are y up with the object's front towards +z, as glTF demands and as OBJ importers (Blender's among them)
assume; PLY and STL are z up with the front towards -y, as slicers and Blender take them. `scale` multiplies lengths.
Each file appears whole or not at all.
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
from threestudio.mesh.mesh import Mesh, TexturedMesh
from threestudio.mesh.reference_view import ReferenceView
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
    scale: float = 1.0,
) -> list[Path]:
    """Write the OBJ; with a texture, its image and the MTL first, so that the OBJ never names a missing file.

    Spaces become underscores in the names of those two: readers of OBJ and MTL take a space for the end of a name.
    """
    path = Path(path).with_suffix(".obj")
    surface = mesh.mesh if isinstance(mesh, TexturedMesh) else mesh
    textured = mesh if isinstance(mesh, TexturedMesh) and save_uv else None
    written = []
    if textured is not None and textured.albedo is not None:
        written = _write_material(path, textured.albedo, texture_format)
    text = _obj_text(surface, textured, save_normal, written[0].name if written else None, scale)
    with atomic_path(path) as partial:
        partial.write_text(text)
    return [path, *written]


def write_glb(
    path: PathLike, mesh: Mesh | TexturedMesh, scale: float = 1.0, view: ReferenceView | None = None
) -> list[Path]:
    """One mesh with one material that is neither metallic nor shiny; the texture is embedded as PNG.

    With `view`, the camera that took the picture: through it the mesh is seen exactly as in the picture.
    """
    path = Path(path).with_suffix(".glb")
    scene = trimesh.Scene(_to_y_up_trimesh(mesh, scale))
    if view is not None:
        _put_camera(scene, view, scale)
    data = trimesh.exchange.gltf.export_glb(scene, include_normals=True)
    with atomic_path(path) as partial:
        partial.write_bytes(data)
    return [path]


def write_ply(path: PathLike, mesh: Mesh, scale: float = 1.0) -> list[Path]:
    """Binary, with colours at the vertices where the mesh has them."""
    return _write_standing(path, ".ply", mesh, scale)


def write_stl(path: PathLike, mesh: Mesh, scale: float = 1.0) -> list[Path]:
    """Binary; a format without colours."""
    return _write_standing(path, ".stl", mesh, scale)


def _write_standing(path: PathLike, suffix: str, mesh: Mesh, scale: float) -> list[Path]:
    path = Path(path).with_suffix(suffix)
    positions = scale * cameras.standing_from_world(torch.from_numpy(mesh.positions)).numpy()
    data = trimesh.Trimesh(positions, mesh.faces, vertex_colors=_as_bytes(mesh.colors), process=False).export(
        file_type=suffix[1:]
    )
    assert isinstance(data, bytes)
    with atomic_path(path) as partial:
        partial.write_bytes(data)
    return [path]


def _put_camera(scene: trimesh.Scene, view: ReferenceView, scale: float) -> None:
    """glTF's camera looks along its -z with y up, as ours do: only the world around it is turned."""
    placed = np.eye(4)
    placed[:3, :3] = _y_up(view.c2w[:3, :3].T).T
    placed[:3, 3] = scale * _y_up(view.origin[None])[0]
    height, width = view.rgba.shape[:2]
    aspect = width / height
    fov = (cameras.widened(view.fovy_deg, aspect), view.fovy_deg)
    distance = float(np.linalg.norm(placed[:3, 3]))
    near, far = 0.01 * distance, 10.0 * distance
    scene.camera = trimesh.scene.Camera("picture", (width, height), fov=fov, z_near=near, z_far=far)
    scene.camera_transform = placed


def read_glb(path: PathLike) -> trimesh.Trimesh:
    """The mesh of a GLB in world axes (z up), with its texture or colours."""
    try:
        mesh = trimesh.load_mesh(Path(path), file_type="glb", process=False)
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"{path}: not a readable GLB ({error}); export it again") from None
    mesh.vertices = cameras.world_from_gltf(torch.from_numpy(np.array(mesh.vertices))).numpy()
    return mesh


def _write_material(path: Path, albedo: UInt8[np.ndarray, "h w 3"], texture_format: str) -> list[Path]:
    stem = path.stem.replace(" ", "_")
    texture, material = path.with_name(f"{stem}_albedo.{texture_format}"), path.with_name(f"{stem}.mtl")
    with atomic_path(texture) as partial:
        Image.fromarray(albedo).save(partial, quality=95)
    with atomic_path(material) as partial:
        partial.write_text(
            f"newmtl {MATERIAL}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {texture.name}\n",
        )
    return [material, texture]


def _obj_text(
    surface: Mesh, textured: TexturedMesh | None, save_normal: bool, library: str | None, scale: float
) -> str:
    vertices = scale * _y_up(surface.positions)
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
    parts.append(_face_rows(indices, surface.paired))
    return "\n".join(parts) + "\n"


def _rows(keyword: str, values: Float[np.ndarray, "row column"]) -> str:
    pattern = keyword + " %.6f" * values.shape[1]
    return "\n".join([pattern] * len(values)) % tuple(values.reshape(-1).tolist())


def _face_rows(indices: list[Int[np.ndarray, "face 3"] | None], paired: bool) -> str:
    """`f v/vt/vn` for each corner, counted from 1; absent ones are left out. Halves that no seam divides become one."""
    corner = "/".join("" if index is None else "%d" for index in indices).rstrip("/")
    numbers = np.stack([index for index in indices if index is not None], axis=-1) + 1
    if not paired:
        return _rows_of_faces(corner, numbers)
    first, second = numbers[0::2], numbers[1::2]
    whole = (first[:, [0, 2]] == second[:, [0, 1]]).all(axis=(1, 2))
    quads = np.concatenate([first[whole], second[whole][:, 2:]], axis=1)
    rest = np.concatenate([first[~whole], second[~whole]])
    return "\n".join(_rows_of_faces(corner, part) for part in (quads, rest) if len(part))


def _rows_of_faces(corner: str, numbers: Int[np.ndarray, "face corner index"]) -> str:
    row = " ".join(["f", *[corner] * numbers.shape[1]])
    return "\n".join([row] * len(numbers)) % tuple(numbers.reshape(-1).tolist())


def _to_y_up_trimesh(mesh: Mesh | TexturedMesh, scale: float) -> trimesh.Trimesh:
    """One vertex for each texture coordinate, since glTF knows only one index."""
    surface = mesh if isinstance(mesh, Mesh) else mesh.mesh
    positions, normals = scale * _y_up(surface.positions), _y_up(surface.normals)
    if isinstance(mesh, Mesh):
        colors = _as_bytes(mesh.colors)
        return trimesh.Trimesh(positions, mesh.faces, vertex_normals=normals, vertex_colors=colors, process=False)
    return trimesh.Trimesh(
        positions[mesh.uv_vertices],
        mesh.uv_faces,
        vertex_normals=normals[mesh.uv_vertices],
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


def _as_bytes(colors: Float[np.ndarray, "vertex 3"] | None) -> UInt8[np.ndarray, "vertex 3"] | None:
    return None if colors is None else np.rint(colors * 255).astype(np.uint8)


def _y_up(vectors: Float[np.ndarray, "row 3"]) -> Float[np.ndarray, "row 3"]:
    return cameras.gltf_from_world(torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float64))).numpy()
