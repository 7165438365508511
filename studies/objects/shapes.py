"""Closed surface parts, z up: grids of points over two parameters, from which every object is put together.

A part carries its parameters `uv` (u around, v along, both 0..1) so that patterns can follow the surface, and what it
was painted with, so that a texture can be finer than its points (texture.py). Parts of an object overlap freely; they
are concatenated, not united. Lengths are in the object's own units until it is normalised.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

Vector = Sequence[float] | ndarray
Vectors = Sequence[Sequence[float] | ndarray] | ndarray
Pattern = Callable[[ndarray, ndarray], ndarray]  # see patterns.py


@dataclass(frozen=True)
class Grid:
    """Points row by row; `wraps` where the last column is joined to the first."""

    rows: int
    columns: int
    wraps: bool

    @property
    def points(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True)
class Part:
    vertices: Float[ndarray, "point 3"]
    faces: Int[ndarray, "face 3"]
    uv: Float[ndarray, "point 2"]
    grids: tuple[Grid, ...]
    pattern: Pattern
    painted_at: Float[ndarray, "point 3"]  # where its points were in the pattern's unit box

    @property
    def colours(self) -> Float[ndarray, "point 3"]:
        """In 0..1."""
        return self.pattern(self.painted_at, self.uv)

    def moved(self, offset: Vector) -> "Part":
        return replace(self, vertices=self.vertices + np.asarray(offset, float))

    def scaled(self, factors: Vector | float) -> "Part":
        return replace(self, vertices=self.vertices * np.asarray(factors, float))

    def turned(self, axis: str, angle_deg: float, about: Vector = (0.0, 0.0, 0.0)) -> "Part":
        about = np.asarray(about, float)
        return replace(self, vertices=(self.vertices - about) @ rotation(axis, angle_deg).T + about)

    def mirrored(self) -> "Part":
        """The part on the other side of the xz plane: left ear from right ear."""
        return replace(self, vertices=self.vertices * (1.0, -1.0, 1.0), faces=self.faces[:, ::-1])

    def coloured(self, colour: Vector) -> "Part":
        return replace(self, pattern=constant(colour))


def constant(colour: Vector) -> Pattern:
    return lambda points, uv: np.broadcast_to(np.asarray(colour, float), points.shape)


UNPAINTED = constant((0.7, 0.7, 0.7))


def rotation(axis: str, angle_deg: float) -> Float[ndarray, "3 3"]:
    """Right-handed rotation about a coordinate axis."""
    angle = np.deg2rad(angle_deg)
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


def grid_part(points: Float[ndarray, "row column 3"], wraps: bool, v: Float[ndarray, "row"] | None = None) -> Part:
    """A part from a grid whose columns run counter-clockwise around its rows; `wraps` joins last column to first."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    if wraps:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    u = np.arange(columns) / (columns if wraps else columns - 1)
    v = np.linspace(0.0, 1.0, rows) if v is None else v
    uv = np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=-1).reshape(-1, 2)
    vertices = points.reshape(-1, 3)
    return Part(vertices, faces, uv, (Grid(rows, columns, wraps),), UNPAINTED, vertices)


def spline(control: Float[ndarray, "knot d"], count: int) -> Float[ndarray, "count d"]:
    """`count` points on the Catmull-Rom curve through the knots, ends included."""
    padded = np.concatenate([2 * control[:1] - control[1:2], control, 2 * control[-1:] - control[-2:-1]])
    position = np.linspace(0.0, len(control) - 1.0, count)
    knot = np.minimum(position.astype(int), len(control) - 2)
    t = (position - knot)[:, None]
    p0, p1, p2, p3 = (padded[knot + offset] for offset in range(4))
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)


def polyline(control: Float[ndarray, "knot d"], count: int) -> Float[ndarray, "at_least_count d"]:
    """About `count` points on the straight segments, every knot (corner) included."""
    lengths = np.linalg.norm(np.diff(control, axis=0), axis=1)
    steps = np.maximum(1, np.round(count * lengths / max(lengths.sum(), 1e-9)).astype(int))
    pieces = [
        a + (b - a) * np.linspace(0, 1, n, endpoint=False)[:, None]
        for a, b, n in zip(control[:-1], control[1:], steps, strict=True)
    ]
    return np.concatenate([*pieces, control[-1:]])


def superquadric(radii: Vector, columns: int, rows: int, power: tuple[float, float] = (1.0, 1.0)) -> Part:
    """Ellipsoid for powers 1, towards a box for small ones, towards an octahedron for 2; (around z, along z)."""
    around, along = power
    theta = np.arange(columns) * (2 * np.pi / columns)
    phi = np.linspace(-np.pi / 2, np.pi / 2, rows)

    def bent(value: ndarray, exponent: float) -> ndarray:
        return np.sign(value) * np.abs(value) ** exponent

    ring = bent(np.cos(phi), along)
    ring[[0, -1]] = 0.0
    unit = np.stack(
        np.broadcast_arrays(
            ring[:, None] * bent(np.cos(theta), around)[None],
            ring[:, None] * bent(np.sin(theta), around)[None],
            bent(np.sin(phi), along)[:, None],
        ),
        axis=-1,
    )
    return grid_part(unit * np.asarray(radii, float), wraps=True)


def lathe(profile: Float[ndarray, "row 2"], columns: int) -> Part:
    """Surface of revolution about z of (radius, z) points, listed so that z rises along the outside."""
    theta = np.arange(columns) * (2 * np.pi / columns)
    radius = np.maximum(profile[:, 0], 0.0)[:, None]
    z = np.broadcast_to(profile[:, 1][:, None], (len(profile), columns))
    return grid_part(np.stack([radius * np.cos(theta), radius * np.sin(theta), z], axis=-1), wraps=True)


def tube(
    path: Float[ndarray, "row 3"],
    radii: Float[ndarray, "row 2"],
    columns: int,
    roundness: float = 1.0,
    across: Vector | None = None,
) -> Part:
    """Swept ellipse: radii (in the plane of the path, across it); ends closed, bulging by `roundness` radii."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-12
    if across is None:
        across = np.eye(3)[np.abs(tangent).max(axis=0).argmin()]
    normal = np.cross(np.asarray(across, float), tangent)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    binormal = np.cross(tangent, normal)
    cap = np.deg2rad([90.0, 60.0, 30.0])
    reach = roundness * radii[[0, -1]].mean(axis=1)
    start = path[0] - tangent[0] * (reach[0] * np.sin(cap))[:, None]
    end = path[-1] + tangent[-1] * (reach[1] * np.sin(cap[::-1]))[:, None]
    shrink = np.cos(cap)
    shrink[0] = 0.0
    rows = np.r_[np.zeros(3, int), np.arange(len(path)), np.full(3, len(path) - 1)]
    centre = np.concatenate([start, path, end])
    radius = np.maximum(radii[rows], 0.0) * np.concatenate([shrink, np.ones(len(path)), shrink[::-1]])[:, None]
    theta = np.arange(columns) * (2 * np.pi / columns)
    points = (
        centre[:, None]
        + (radius[:, :1] * np.cos(theta))[..., None] * normal[rows][:, None]
        + (radius[:, 1:] * np.sin(theta))[..., None] * binormal[rows][:, None]
    )
    v = np.concatenate([np.zeros(3), np.linspace(0, 1, len(path)), np.ones(3)])
    return grid_part(points, wraps=True, v=v)


def torus(major: float, minor: float, columns: int, sides: int) -> Part:
    """Ring around z; v runs around the tube, 0 at the outside, 0.25 on top."""
    theta = np.arange(columns) * (2 * np.pi / columns)
    phi = np.linspace(0, 2 * np.pi, sides + 1)
    radius = (major + minor * np.cos(phi))[:, None]
    z = np.broadcast_to((minor * np.sin(phi))[:, None], (sides + 1, columns))
    return grid_part(np.stack([radius * np.cos(theta), radius * np.sin(theta), z], axis=-1), wraps=True)


def box(size: Vector, cells: int, taper: float = 1.0) -> Part:
    """Box centred at the origin with sharp edges; the top is `taper` times as wide as the bottom."""
    line = np.linspace(-0.5, 0.5, cells + 1)
    a, b = np.meshgrid(line, line, indexing="xy")
    half = np.full_like(a, 0.5)
    sides = [(half, a, b), (-half, -a, b), (-a, half, b), (a, -half, b), (a, b, half), (a, -b, -half)]
    faces = [grid_part(np.stack(side, axis=-1), wraps=False) for side in sides]
    whole = join(faces)
    width = 1.0 + (taper - 1.0) * (whole.vertices[:, 2:] + 0.5)
    vertices = whole.vertices * np.concatenate([width, width, np.ones_like(width)], axis=1)
    return replace(whole, vertices=vertices * np.asarray(size, float))


def join(parts: Sequence[Part]) -> Part:
    """All parts as one, not painted."""
    vertices = np.concatenate([part.vertices for part in parts])
    grids = tuple(grid for part in parts for grid in part.grids)
    return Part(vertices, joined_faces(parts), np.concatenate([part.uv for part in parts]), grids, UNPAINTED, vertices)


def joined_faces(parts: Sequence[Part]) -> Int[ndarray, "face 3"]:
    """In the numbers of all points, part after part."""
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    return np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=True)])
