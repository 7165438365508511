"""Colours: palettes, and patterns that colour points.

A pattern maps points in the unit box of what is painted (coordinates within +-0.5) and their surface parameters `uv`
to RGB in 0..1. It draws its randomness when it is made, so that the mesh's fineness does not change it.
"""

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from .shapes import Part, Pattern, Vector, constant

Colour = ndarray

FUR = [
    (0.55, 0.33, 0.16),
    (0.36, 0.22, 0.12),
    (0.80, 0.52, 0.24),
    (0.88, 0.76, 0.58),
    (0.93, 0.91, 0.87),
    (0.16, 0.15, 0.15),
    (0.47, 0.45, 0.44),
    (0.68, 0.65, 0.62),
    (0.78, 0.38, 0.14),
    (0.92, 0.70, 0.66),
]
STONE = [(0.60, 0.60, 0.60), (0.75, 0.74, 0.70), (0.52, 0.50, 0.55), (0.66, 0.60, 0.50), (0.40, 0.42, 0.44)]
WOOD = [(0.45, 0.28, 0.14), (0.62, 0.42, 0.23), (0.33, 0.20, 0.11), (0.76, 0.58, 0.36), (0.25, 0.17, 0.12)]
LEAF = [(0.20, 0.45, 0.16), (0.33, 0.58, 0.22), (0.12, 0.36, 0.24), (0.50, 0.62, 0.22), (0.16, 0.50, 0.36)]
METAL = [(0.72, 0.73, 0.75), (0.30, 0.31, 0.33), (0.12, 0.12, 0.13), (0.80, 0.68, 0.36), (0.55, 0.35, 0.22)]


def hsv(hue: float, saturation: float, value: float) -> Colour:
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1))))


def near(rng: np.random.Generator, colours: Sequence[Vector], spread: float = 0.05) -> Colour:
    """One of the colours, slightly off."""
    return np.clip(np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, spread, 3), 0.02, 0.98)


def vivid(rng: np.random.Generator) -> Colour:
    return hsv(rng.uniform(), rng.uniform(0.55, 0.95), rng.uniform(0.45, 0.97))


def any_colour(rng: np.random.Generator) -> Colour:
    kind = rng.uniform()
    if kind < 0.55:
        return vivid(rng)
    if kind < 0.7:
        return hsv(rng.uniform(), rng.uniform(0.1, 0.4), rng.uniform(0.75, 0.98))
    if kind < 0.85:
        return np.full(3, rng.uniform(0.08, 0.95)) + rng.normal(0, 0.01, 3)
    return near(rng, [*FUR, *WOOD, *STONE, *LEAF, *METAL])


def palette(rng: np.random.Generator, count: int) -> list[Colour]:
    """Colours that differ from their predecessor enough to be told apart."""
    chosen = [any_colour(rng)]
    while len(chosen) < count:
        candidates = [any_colour(rng) for _ in range(3)]
        chosen.append(max(candidates, key=lambda colour: np.abs(colour - chosen[-1]).sum()))
    return [np.clip(colour, 0.02, 0.98) for colour in chosen]


def shade(colour: Colour, factor: float) -> Colour:
    """Darker below 1, towards white above."""
    colour = np.asarray(colour, float)
    return colour * factor if factor <= 1 else 1 - (1 - colour) * (2 - factor)


def mix(
    first: Float[ndarray, "*point 3"], second: Float[ndarray, "*point 3"], weight: ndarray
) -> Float[ndarray, "point 3"]:
    return first + (second - first) * weight[:, None]


def smoothstep(value: ndarray, low: float, high: float) -> ndarray:
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def solid(colour: Colour) -> Pattern:
    return constant(colour)


def waves(rng: np.random.Generator, frequency: float, octaves: int = 6) -> Callable[[ndarray], ndarray]:
    """Smooth noise of unit scale, within about +-1: a sum of plane waves."""
    directions = rng.normal(size=(octaves, 3))
    directions *= frequency * 2 * np.pi / np.linalg.norm(directions, axis=1, keepdims=True)
    directions *= rng.uniform(0.5, 1.5, (octaves, 1))
    phases = rng.uniform(0, 2 * np.pi, octaves)
    return lambda points: np.sin(points @ directions.T + phases).sum(axis=1) / np.sqrt(octaves)


def gradient(first: Colour, second: Colour, axis: int = 2) -> Pattern:
    return lambda points, uv: mix(first, second, smoothstep(points[:, axis], -0.45, 0.45))


def countershade(rng: np.random.Generator, back: Colour, belly: Colour, height: float = -0.1) -> Pattern:
    """Dark above, light below with a wavy border, as on most animals."""
    wave = waves(rng, 1.5)
    return lambda points, uv: mix(
        belly, back, smoothstep(points[:, 2] + 0.05 * wave(points), height - 0.06, height + 0.06)
    )


def stripes(
    rng: np.random.Generator, colours: Sequence[Colour], direction: Vector, count: float, wobble: float = 0.0
) -> Pattern:
    """Bands of the colours in turn across a direction of the unit box."""
    table, phase, wave = np.array(colours), rng.uniform(), waves(rng, 1.2)
    direction = np.asarray(direction, float) / np.linalg.norm(direction)

    def pattern(points: ndarray, uv: ndarray) -> ndarray:
        position = (points @ direction + wobble * wave(points)) * count + phase
        return table[np.floor(position).astype(int) % len(table)]

    return pattern


def bands(colours: Sequence[Colour], count: int, along: int = 1) -> Pattern:
    """Bands along the surface's own parameter: rings for v (1), meridian strips for u (0)."""
    table = np.array(colours)
    return lambda points, uv: table[np.floor(uv[:, along] * count * 0.9999 + 1e-6).astype(int) % len(table)]


def checks(colours: Sequence[Colour], around: int, along: int) -> Pattern:
    table = np.array(colours)

    def pattern(points: ndarray, uv: ndarray) -> ndarray:
        cell = np.floor(uv * (around, along * 0.9999) + 1e-6).astype(int).sum(axis=1)
        return table[cell % len(table)]

    return pattern


def spots(rng: np.random.Generator, base: Pattern, colours: Sequence[Colour], count: int, radius: float) -> Pattern:
    """Round spots at random places of the unit box over another pattern."""
    centres = rng.uniform(-0.5, 0.5, (count, 3))
    reach = radius * rng.uniform(0.6, 1.3, count)
    table = np.array(colours)[rng.integers(len(colours), size=count)]

    def pattern(points: ndarray, uv: ndarray) -> ndarray:
        distance = np.sqrt(np.maximum(squared_distances(points, centres), 0)) / reach
        nearest = distance.argmin(axis=1)
        inside = distance[np.arange(len(points)), nearest] < 1
        return np.where(inside[:, None], table[nearest], base(points, uv))

    return pattern


def patches(rng: np.random.Generator, colours: Sequence[Colour], count: int) -> Pattern:
    """Voronoi cells in random colours: patchwork, painted pottery, the coat of a cow."""
    centres = rng.uniform(-0.5, 0.5, (count, 3))
    table = np.array(colours)[rng.integers(len(colours), size=count)]
    return lambda points, uv: table[squared_distances(points, centres).argmin(axis=1)]


def marble(rng: np.random.Generator, first: Colour, second: Colour, frequency: float) -> Pattern:
    coarse, fine = waves(rng, frequency), waves(rng, 2.5 * frequency)
    return lambda points, uv: mix(first, second, smoothstep(coarse(points) + 0.5 * fine(points), -1.0, 1.0))


def badge(
    base: Pattern, colour: Colour, centre: tuple[float, float], radii: tuple[float, float], half: int = 1
) -> Pattern:
    """An ellipse of the yz plane printed on the front (half = 1), the back (-1) or both (0)."""

    def pattern(points: ndarray, uv: ndarray) -> ndarray:
        offset = (points[:, 1:] - centre) / radii
        inside = ((offset**2).sum(axis=1) < 1) & (points[:, 0] * half >= 0)
        return np.where(inside[:, None], colour, base(points, uv))

    return pattern


def speckled(rng: np.random.Generator, base: Pattern, strength: float = 0.06, frequency: float = 5.0) -> Pattern:
    """Slight unevenness, so that surfaces are not perfectly flat in colour."""
    wave = waves(rng, frequency)
    return lambda points, uv: np.clip(base(points, uv) * (1 + strength * wave(points))[:, None], 0, 1)


def squared_distances(points: Float[ndarray, "point 3"], centres: Float[ndarray, "centre 3"]) -> ndarray:
    return (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)


def any_pattern(rng: np.random.Generator, colours: Sequence[Colour] | None = None) -> Pattern:
    """A random pattern over the given (or random) colours."""
    colours = palette(rng, 4) if colours is None else list(colours)
    first, second = colours[0], colours[1 % len(colours)]
    direction = np.eye(3)[rng.integers(3)] + (rng.normal(0, 0.4, 3) if rng.uniform() < 0.4 else 0)
    some = colours[: int(rng.integers(2, len(colours) + 1))] if len(colours) > 2 else colours
    makers: list[Callable[[], Pattern]] = [
        lambda: solid(first),
        lambda: solid(first),
        lambda: gradient(first, second, int(rng.integers(3))),
        lambda: stripes(rng, some, direction, rng.uniform(4, 9), rng.choice([0, 0, 0.05])),
        lambda: bands(some, int(rng.integers(3, 9)), int(rng.integers(2))),
        lambda: checks(colours[:2], 2 * int(rng.integers(2, 6)), int(rng.integers(3, 8))),
        lambda: spots(rng, solid(first), colours[1:3], int(rng.integers(15, 60)), rng.uniform(0.05, 0.12)),
        lambda: patches(rng, colours, int(rng.integers(8, 30))),
        lambda: marble(rng, first, second, rng.uniform(0.8, 2.5)),
        lambda: countershade(rng, first, second, rng.uniform(-0.2, 0.1)),
        lambda: badge(solid(first), second, (0.0, rng.uniform(-0.1, 0.15)), tuple(rng.uniform(0.1, 0.25, 2))),
    ]
    return makers[int(rng.integers(len(makers)))]()


def painted(parts: Sequence[Part], pattern: Pattern) -> list[Part]:
    """The parts with one pattern over all of them, in their common unit box."""
    low = np.min([part.vertices.min(axis=0) for part in parts], axis=0)
    high = np.max([part.vertices.max(axis=0) for part in parts], axis=0)
    centre, size = (low + high) / 2, max((high - low).max(), 1e-9)
    return [replace(part, pattern=pattern, painted_at=(part.vertices - centre) / size) for part in parts]
