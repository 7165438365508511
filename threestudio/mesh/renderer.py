"""Ray-cast pictures of triangle meshes: the view of a finished mesh, of a true mesh, and of training objects.

Primary rays only, on the CPU, by Embree. Surfaces are opaque and two-sided; colours (texture, per vertex, per face) are
taken as they are stored, in 0..255 without gamma conversion. Shading is either none ("albedo") or one soft light from
above ("diffuse"): albedo * (ambient + (1 - ambient) * (0.5 + 0.5 * n.l)), ambient 0.75 where nothing else is said.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import trimesh
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Float, Integer, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor
from trimesh.visual import TextureVisuals

from threestudio.cameras import camera_positions, projection, rays, world_to_clip

AMBIENT = 0.75
LIGHT_ELEVATION_DEG = 55.0
GREY = 0.7
CLAY = 0.95
CLAY_LIGHT = (-0.5, 0.7, 1.0)  # in camera axes: from the upper left, behind the camera
SHADINGS = ("albedo", "diffuse", "clay")


def render_mesh(
    mesh: trimesh.Trimesh | trimesh.Scene,
    c2w: Float[Tensor, "view 4 4"],
    fovy_deg: float,
    height: int,
    width: int,
    supersample: int = 2,
    shading: str = "albedo",
    light_azimuth_deg: float = 30.0,
    light_elevation_deg: float = LIGHT_ELEVATION_DEG,
    ambient: float = AMBIENT,
) -> UInt8[ndarray, "view h w 4"]:
    """RGBA with straight alpha, 0 and black where nothing is hit; `mesh` is z up, in world units.

    `supersample` squared rays a pixel; `shading` is "albedo", or "diffuse": the light's direction, and the share of it
    that comes from everywhere alike; or "clay": the shape alone, grey, in a light that goes with the camera.
    """
    if shading not in SHADINGS:
        raise ValueError(f'shading "{shading}": expected one of {", ".join(SHADINGS)}')
    surfaces = [surface.in_clay() for surface in surfaces_of(mesh)] if shading == "clay" else surfaces_of(mesh)
    scene = embree_scene(surfaces)
    light = None
    if shading == "diffuse":
        light = Light.in_the_world(light_azimuth_deg, light_elevation_deg, ambient)
    fine = (height * supersample, width * supersample)
    c2w = c2w.detach().cpu().float()
    field_of_view = torch.tensor([float(fovy_deg)])
    in_camera = rays(torch.eye(4)[None], field_of_view, *fine)[1][0].numpy()
    pictures = np.zeros((len(c2w), height, width, 4), np.uint8)
    for picture, matrix, (rows, columns) in zip(
        pictures, c2w.numpy(), windows(surfaces, c2w, field_of_view, *fine), strict=True
    ):
        directions = in_camera[rows, columns] @ matrix[:3, :3].T
        rgba = np.zeros((*fine, 4), np.float32)
        rgba[rows, columns] = trace(
            scene,
            surfaces,
            np.broadcast_to(matrix[:3, 3], directions.shape).reshape(-1, 3),
            directions.reshape(-1, 3),
            Light.beside_the_camera(matrix) if shading == "clay" else light,
        ).reshape(*directions.shape[:2], 4)
        picture[:] = downsampled(rgba, supersample)
    return pictures


@dataclass(frozen=True)
class Surface:
    """One mesh as the tracer needs it; exactly one of `corner_rgb` and `texture` is used."""

    vertices: Float[ndarray, "point 3"]
    faces: Integer[ndarray, "face 3"]
    normals: Float[ndarray, "point 3"]
    corner_rgb: Float[ndarray, "face 3 3"] | None
    uv: Float[ndarray, "point 2"] | None
    texture: Float[ndarray, "th tw 3"] | None

    def in_clay(self) -> "Surface":
        """The same shape, grey all over."""
        grey = np.broadcast_to(np.float32(CLAY), (len(self.faces), 3, 3))
        return replace(self, corner_rgb=grey, uv=None, texture=None)


def surfaces_of(mesh: trimesh.Trimesh | trimesh.Scene) -> list[Surface]:
    meshes = mesh.dump() if isinstance(mesh, trimesh.Scene) else [mesh]
    return [surface_of(part) for part in meshes if isinstance(part, trimesh.Trimesh) and len(part.faces)]


def surface_of(mesh: trimesh.Trimesh) -> Surface:
    uv, texture = uv_and_texture(mesh)
    return Surface(
        vertices=np.asarray(mesh.vertices, np.float32),
        faces=np.asarray(mesh.faces, np.int32),
        normals=np.asarray(mesh.vertex_normals, np.float32),
        corner_rgb=corner_colours(mesh) if texture is None else None,
        uv=uv,
        texture=texture,
    )


def uv_and_texture(mesh: trimesh.Trimesh) -> tuple[ndarray | None, ndarray | None]:
    """Texture coordinates and base-colour image in 0..1 (times the material's factor), or None twice."""
    visual = mesh.visual
    if not isinstance(visual, TextureVisuals) or visual.uv is None or len(visual.uv) != len(mesh.vertices):
        return None, None
    material = visual.material
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None:
        return None, None
    texture = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image, np.float32)[..., :3] / 255
    return np.asarray(visual.uv, np.float32), np.ascontiguousarray(texture * base_colour(material, 1.0))


def corner_colours(mesh: trimesh.Trimesh) -> Float[ndarray, "face 3 3"]:
    """RGB in 0..1 at the corners of each face: vertex colours, face colours, or the material's one colour."""
    visual = mesh.visual
    if isinstance(visual, TextureVisuals):
        rgb = base_colour(visual.material, GREY)
    elif visual is None or visual.kind is None:
        rgb = np.full(3, GREY, np.float32)
    elif visual.kind == "vertex":
        return (np.asarray(visual.vertex_colors, np.float32)[:, :3] / 255)[np.asarray(mesh.faces)]
    else:
        rgb = np.asarray(visual.face_colors, np.float32)[:, None, :3] / 255
    return np.broadcast_to(rgb, (len(mesh.faces), 3, 3))


def base_colour(material: object, default: float) -> Float[ndarray, "3"]:
    """glTF's base colour factor or OBJ's diffuse colour; an OBJ's diffuse colour is not applied over its texture."""
    colour = getattr(material, "baseColorFactor", None)
    if colour is None and default != 1.0:
        colour = getattr(material, "diffuse", None)
    if colour is None:
        return np.full(3, default, np.float32)
    scale = 255.0 if np.asarray(colour).dtype == np.uint8 else 1.0
    return np.asarray(colour, np.float32)[:3] / scale


def windows(
    surfaces: list[Surface], c2w: Float[Tensor, "view 4 4"], fovy_deg: Float[Tensor, "1"], height: int, width: int
) -> list[tuple[slice, slice]]:
    """Rows and columns that can see the bounding box: most rays of a picture would miss, and are not cast."""
    whole = (slice(0, height), slice(0, width))
    if not surfaces:
        return [whole] * len(c2w)
    points = np.concatenate([surface.vertices[np.unique(surface.faces)] for surface in surfaces])
    low, high = points.min(axis=0), points.max(axis=0)
    corners = [[x, y, z, 1.0] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    to_clip = world_to_clip(c2w, projection(fovy_deg.expand(len(c2w)), width / height, near=0.01, far=1000.0))
    clip = torch.einsum("vij,kj->vki", to_clip, torch.tensor(corners, dtype=c2w.dtype)).numpy()
    result = []
    for view in clip:
        if (view[:, 3] < 1e-3).any():  # the box reaches behind the camera: no rectangle bounds it
            result.append(whole)
            continue
        x = (0.5 + 0.5 * view[:, 0] / view[:, 3]) * width
        y = (0.5 - 0.5 * view[:, 1] / view[:, 3]) * height
        result.append((bounded(y, height), bounded(x, width)))
    return result


def bounded(positions: Float[ndarray, "corner"], size: int) -> slice:
    low, high = np.clip([np.floor(positions.min()) - 1, np.ceil(positions.max()) + 1], 0, size).astype(int)
    return slice(int(low), int(high))


def embree_scene(surfaces: list[Surface]) -> rtcore_scene.EmbreeScene | None:
    if not surfaces:
        return None
    scene = rtcore_scene.EmbreeScene()
    for surface in surfaces:
        TriangleMesh(scene=scene, vertices=surface.vertices, indices=surface.faces)
    return scene


@dataclass(frozen=True)
class Light:
    """The unit direction towards it, and the share of it that comes from everywhere alike, in 0..1."""

    direction: Float[ndarray, "3"]
    ambient: float

    @classmethod
    def in_the_world(cls, azimuth_deg: float, elevation_deg: float, ambient: float) -> "Light":
        angles = torch.tensor([[float(elevation_deg)], [float(azimuth_deg)], [1.0]])
        return cls(camera_positions(*angles)[0].numpy(), ambient)

    @classmethod
    def beside_the_camera(cls, c2w: Float[ndarray, "4 4"]) -> "Light":
        """For clay: it goes with the camera."""
        return cls(c2w[:3, :3] @ (np.array(CLAY_LIGHT, np.float32) / np.linalg.norm(CLAY_LIGHT)), 0.0)


def trace(
    scene: rtcore_scene.EmbreeScene | None,
    surfaces: list[Surface],
    origins: Float[ndarray, "ray 3"],
    directions: Float[ndarray, "ray 3"],
    light: Light | None,
) -> Float[ndarray, "ray 4"]:
    """Colour in 0..1 and hit (0 or 1) of each ray's first surface."""
    rgba = np.zeros((len(origins), 4), np.float32)
    if scene is None or not len(origins):
        return rgba
    hits = scene.run(np.ascontiguousarray(origins), np.ascontiguousarray(directions), output=True)
    for number, surface in enumerate(surfaces):
        ray = np.flatnonzero((hits["primID"] >= 0) & (hits["geomID"] == number))
        face = hits["primID"][ray]
        u, v = hits["u"][ray], hits["v"][ray]
        weights = np.stack([1 - u - v, u, v], axis=1)
        rgb = surface_colours(surface, face, weights)
        if light is not None:
            rgb = rgb * diffuse(surface, face, weights, directions[ray], hits["Ng"][ray], light)[:, None]
        rgba[ray, :3] = rgb
        rgba[ray, 3] = 1.0
    return rgba


def surface_colours(
    surface: Surface, face: Integer[ndarray, "hit"], weights: Float[ndarray, "hit 3"]
) -> Float[ndarray, "hit 3"]:
    if surface.texture is None or surface.uv is None:
        assert surface.corner_rgb is not None  # what has no texture has colours
        return interpolated(surface.corner_rgb[face], weights)
    uv = interpolated(surface.uv[surface.faces[face]], weights)
    return bilinear(surface.texture, uv)


def interpolated(corners: Float[ndarray, "hit 3 c"], weights: Float[ndarray, "hit 3"]) -> Float[ndarray, "hit c"]:
    return np.einsum("hkc,hk->hc", corners, weights)


def bilinear(texture: Float[ndarray, "th tw 3"], uv: Float[ndarray, "hit 2"]) -> Float[ndarray, "hit 3"]:
    """Repeating lookup; v = 0 is the bottom row (trimesh's convention)."""
    height, width = texture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    columns, rows = (left % width, (left + 1) % width), (top % height, (top + 1) % height)
    upper = texture[rows[0], columns[0]] * (1 - fx) + texture[rows[0], columns[1]] * fx
    lower = texture[rows[1], columns[0]] * (1 - fx) + texture[rows[1], columns[1]] * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32)


def diffuse(
    surface: Surface,
    face: Integer[ndarray, "hit"],
    weights: Float[ndarray, "hit 3"],
    directions: Float[ndarray, "hit 3"],
    geometric: Float[ndarray, "hit 3"],
    light: Light,
) -> Float[ndarray, "hit"]:
    """Half-Lambert light of the interpolated normal, turned towards the viewer."""
    normal = interpolated(surface.normals[surface.faces[face]], weights)
    # Either winding occurs in the wild; the vertex normal is brought to the side of the face that the ray sees.
    seen = np.einsum("hc,hc->h", geometric, directions)
    facing = -np.sign(seen) * np.sign(np.einsum("hc,hc->h", geometric, normal))
    length = np.sqrt(np.einsum("hc,hc->h", normal, normal)) + 1e-12
    return light.ambient + (1 - light.ambient) * (0.5 + 0.5 * facing * (normal @ light.direction) / length)


def downsampled(rgba: Float[ndarray, "fine_h fine_w 4"], factor: int) -> UInt8[ndarray, "h w 4"]:
    """Box filter of hit-or-miss samples: colour is the mean of the hits, alpha their share."""
    height, width = rgba.shape[0] // factor, rgba.shape[1] // factor
    total = np.zeros((height, width, 4), np.float32)
    for row in range(factor):
        for column in range(factor):
            total += rgba[row::factor, column::factor]
    total[..., :3] /= np.maximum(total[..., 3:], 1.0)
    total[..., 3] /= factor * factor
    return np.clip(np.round(total * 255), 0, 255).astype(np.uint8)
