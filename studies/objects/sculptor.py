"""The hands of the grammars: seeded choices, and primitives whose fineness is set once for the whole object."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from . import shapes
from .patterns import Colour
from .shapes import Part, Vector, Vectors

T = TypeVar("T")


class Sculptor:
    """`detail` multiplies the grid resolution of every part (1 for 64 px images) and changes nothing else."""

    def __init__(self, rng: np.random.Generator, detail: float = 1.0) -> None:
        self.rng = rng
        self.detail = detail

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def cells(self, number: float) -> int:
        return max(3, round(number * self.detail))

    def ball(self, centre: Vector, radii: Vector | float, size: int = 16, power: tuple[float, float] = (1, 1)) -> Part:
        """Ellipsoid (or superquadric) with `size` columns."""
        radii = np.broadcast_to(np.asarray(radii, float), 3)
        columns = 4 * max(1, round(self.cells(size) / 4))
        return shapes.superquadric(radii, columns, columns // 2 + 1 + columns // 8, power).moved(centre)

    def box(self, centre: Vector, size: Vector, cells: int = 3, taper: float = 1.0) -> Part:
        return shapes.box(size, self.cells(cells), taper).moved(centre)

    def lathe(self, profile: Vectors, rows: int = 24, columns: int = 24, smooth: bool = True) -> Part:
        """Revolution about z of (radius, z) knots, through a smooth curve or with corners at the knots."""
        resample = shapes.spline if smooth else shapes.polyline
        return shapes.lathe(resample(np.asarray(profile, float), self.cells(rows)), self.cells(columns))

    def tube(
        self,
        path: Vectors,
        radii: Vectors | Vector | float,
        rows: int = 12,
        columns: int = 10,
        roundness: float = 1.0,
        across: Vector | None = None,
    ) -> Part:
        """Swept along a smooth curve through `path`; radii one for all, one a knot, or (in plane, across) a knot."""
        path = np.asarray(path, float)
        radii = np.asarray(radii, float)
        if radii.ndim == 0:
            radii = np.full(len(path), float(radii))
        if radii.ndim == 1:
            radii = np.stack([radii, radii], axis=1)
        if len(radii) != len(path):
            knots, given = np.linspace(0, 1, len(path)), np.linspace(0, 1, len(radii))
            radii = np.stack([np.interp(knots, given, radii[:, i]) for i in range(2)], axis=1)
        curve = shapes.spline(np.concatenate([path, radii], axis=1), self.cells(rows))
        return shapes.tube(curve[:, :3], curve[:, 3:], self.cells(columns), roundness, across)

    def cone(self, base: Vector, tip: Vector, radius: float | Vector, columns: int = 10) -> Part:
        """From `base` to a point; two radii make it flat (see `tube`)."""
        wide = np.broadcast_to(np.asarray(radius, float), 2)
        return self.tube([base, tip], [wide, wide * 0.04], rows=5, columns=columns, roundness=0.15)

    def ring(self, centre: Vector, major: float, minor: float, columns: int = 28, sides: int = 12) -> Part:
        return shapes.torus(major, minor, self.cells(columns), self.cells(sides)).moved(centre)

    def eyes(self, centre: Vector, gap: float, radius: float, iris: Colour, white: bool = True) -> list[Part]:
        """A pair looking along +x at y = +-gap: white balls with dark pupils, or dark beads."""
        x, _, z = centre
        parts = []
        for side in (-1, 1):
            if white:
                parts.append(self.ball((x, side * gap, z), radius, 8).coloured((0.95, 0.95, 0.93)))
                parts.append(self.ball((x + 0.55 * radius, side * gap * 1.03, z), 0.62 * radius, 8).coloured(iris))
            else:
                parts.append(self.ball((x, side * gap, z), radius, 8).coloured(iris))
        return parts
