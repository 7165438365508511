"""What a picture's relief is in truth: of a mesh, by rays and by a filled grid.

All offsets are along the camera's axis from the plane through the origin, away from the camera, in halves of the
picture's height there (`threestudio/relief` says why).
"""

from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy import ndimage

from studies.relief.framing import HALF_HEIGHT, Framing
from threestudio import cameras
from threestudio.mesh.renderer import Light, downsampled, embree_scene, interpolated, surfaces_of, trace
from threestudio.relief.network import LAYER_OFFSETS, LAYERS_SIZE, SIZE

CELLS = 96  # of the filled grid, along the object's largest side
SAMPLES_A_CELL = 8
SUPERSAMPLE = 2  # of the picture
BEHIND = 2.0  # times the camera's distance: rays from there come back


@dataclass(frozen=True)
class TrueRelief:
    """Of one picture: `front`, `back` and `normal` count where `hit`; `inside` is by layer."""

    rgba: UInt8[ndarray, "h w 4"]
    hit: Bool[ndarray, "h w"]
    front: Float[ndarray, "h w"]
    back: Float[ndarray, "h w"]
    normal: Float[ndarray, "h w 3"]  # in camera axes, towards the camera
    inside: Bool[ndarray, "layer lh lw"]


class Caster:
    """One mesh (z up, around the origin), ready for many pictures."""

    def __init__(self, mesh: trimesh.Trimesh | trimesh.Scene) -> None:
        self.surfaces = surfaces_of(mesh)
        scene = embree_scene(self.surfaces)
        assert scene is not None  # `load_mesh` lets no file without a surface pass
        self.scene = scene
        self.points = np.concatenate([surface.vertices[np.unique(surface.faces)] for surface in self.surfaces])
        self.solid = FilledGrid(np.concatenate([surface.vertices[surface.faces] for surface in self.surfaces]))

    def relief(self, framing: Framing, light: Light) -> TrueRelief:
        axis = -framing.c2w[:3, 2]
        origins, directions = rays(framing, SIZE)
        first = self.hits(origins, directions)
        far = BEHIND * framing.distance / framing.scale
        last = self.hits(origins + far * directions, -directions)
        slope = directions @ axis
        hit = first.hit & last.hit
        return TrueRelief(
            rgba=self.picture(framing, light),
            hit=hit.reshape(SIZE, SIZE),
            front=offset(framing, first.distance * slope).reshape(SIZE, SIZE),
            back=offset(framing, (far - last.distance) * slope).reshape(SIZE, SIZE),
            normal=(self.normals(first, directions) @ framing.c2w[:3, :3]).reshape(SIZE, SIZE, 3),
            inside=self.layers(framing),
        )

    def picture(self, framing: Framing, light: Light) -> UInt8[ndarray, "h w 4"]:
        """As `render_mesh` makes it, which would build the scene anew."""
        fine = SUPERSAMPLE * SIZE
        origins, directions = (values.astype(np.float32) for values in rays(framing, fine))
        traced = trace(self.scene, self.surfaces, origins, directions, light)
        return downsampled(traced.reshape(fine, fine, 4), SUPERSAMPLE)

    def hits(self, origins: Float[ndarray, "ray 3"], directions: Float[ndarray, "ray 3"]) -> "Hits":
        found = self.scene.run(origins.astype(np.float32), directions.astype(np.float32), output=True)
        return Hits(found["primID"] >= 0, found)

    def normals(self, hits: "Hits", directions: Float[ndarray, "ray 3"]) -> Float[ndarray, "ray 3"]:
        """Smooth ones, turned to the ray's side of the face; 0 where nothing is hit."""
        result = np.zeros_like(directions)
        for number, surface in enumerate(self.surfaces):
            ray = np.flatnonzero(hits.hit & (hits.found["geomID"] == number))
            face, u, v = (hits.found[key][ray] for key in ("primID", "u", "v"))
            weights = np.stack([1 - u - v, u, v], axis=1)
            normal = interpolated(surface.normals[surface.faces[face]], weights)
            result[ray] = np.where((normal * directions[ray]).sum(axis=1, keepdims=True) > 0, -normal, normal)
        return result / np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-9)

    def layers(self, framing: Framing) -> Bool[ndarray, "layer lh lw"]:
        origins, directions = rays(framing, LAYERS_SIZE)
        slope = directions @ -framing.c2w[:3, 2]
        depth = (framing.distance + HALF_HEIGHT * np.asarray(LAYER_OFFSETS)) / framing.scale
        points = origins + directions * (depth[:, None] / slope)[..., None]
        return self.solid.inside(points).reshape(-1, LAYERS_SIZE, LAYERS_SIZE)


@dataclass(frozen=True)
class Hits:
    """Of rays: whether each met a surface, and what Embree found there."""

    hit: Bool[ndarray, "ray"]
    found: dict[str, ndarray]

    @property
    def distance(self) -> Float[ndarray, "ray"]:
        """0 where nothing is hit."""
        return np.where(self.hit, self.found["tfar"], 0.0).astype(float)


class FilledGrid:
    """The object as a solid, in cells.

    Inside is what cannot be reached from outside without crossing a surface. People leave out the sides that nobody
    sees: what is hidden from the front (+x), both sides and above is inside too, though it is open below or behind.
    """

    def __init__(self, triangles: Float[ndarray, "face 3 3"]) -> None:
        low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
        self.cell = float((high - low).max()) / CELLS
        self.low = low - 2 * self.cell
        wall = np.zeros(np.ceil((high - low) / self.cell).astype(int) + 4, bool)
        wall[tuple(self.cells(samples(triangles, SAMPLES_A_CELL / self.cell**2)).T)] = True
        parts, _ = ndimage.label(~wall)
        seen = wall_ahead(wall, 0, 1) & wall_ahead(wall, 1, 1) & wall_ahead(wall, 1, -1) & wall_ahead(wall, 2, 1)
        self.filled = (parts != parts[0, 0, 0]) | seen

    def cells(self, points: Float[ndarray, "*point 3"]) -> ndarray:
        return np.floor((points - self.low) / self.cell).astype(int)

    def inside(self, points: Float[ndarray, "*point 3"]) -> Bool[ndarray, "*point"]:
        last = np.array(self.filled.shape) - 1  # cells along the border are empty
        return np.asarray(self.filled[tuple(np.moveaxis(np.clip(self.cells(points), 0, last), -1, 0))])


def samples(triangles: Float[ndarray, "face 3 3"], density: float) -> Float[ndarray, "point 3"]:
    """Points on the triangles, `density` of them a unit of area; the same ones each time."""
    rng = np.random.default_rng(0)
    side, other = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    area = 0.5 * np.linalg.norm(np.cross(side, other), axis=1)
    face = np.repeat(np.arange(len(area)), (area * density + rng.uniform(size=len(area))).astype(int))
    u, v = rng.uniform(size=(2, len(face), 1)).astype(np.float32)
    beyond = u + v > 1
    u, v = np.where(beyond, 1 - u, u), np.where(beyond, 1 - v, v)
    return triangles[face, 0] + u * side[face] + v * other[face]


def wall_ahead(wall: Bool[ndarray, "x y z"], axis: int, sign: int) -> Bool[ndarray, "x y z"]:
    """Whether going along the axis in the direction of `sign` meets a wall."""
    along = np.flip(wall, axis) if sign > 0 else wall
    met = np.logical_or.accumulate(along, axis=axis)
    return np.flip(met, axis) if sign > 0 else met


def rays(framing: Framing, size: int) -> tuple[Float[ndarray, "ray 3"], Float[ndarray, "ray 3"]]:
    """In the mesh's units."""
    c2w, fovy_deg = torch.from_numpy(framing.c2w)[None], torch.tensor([framing.fovy_deg], dtype=torch.float64)
    origins, directions = cameras.rays(c2w, fovy_deg, size, size)
    return origins.reshape(-1, 3).numpy(), directions.reshape(-1, 3).numpy()


def offset(framing: Framing, depth: Float[ndarray, "ray"]) -> Float[ndarray, "ray"]:
    """`depth` is along the axis, in the mesh's units."""
    return (framing.scale * depth - framing.distance) / HALF_HEIGHT
