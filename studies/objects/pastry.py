"""Pastry and snacks: donuts, cakes in tiers, ice cream, burgers."""

import numpy as np

from .patterns import (
    any_colour,
    any_pattern,
    bands,
    gradient,
    near,
    painted,
    palette,
    shade,
    solid,
    spots,
    stripes,
    vivid,
)
from .sculptor import Sculptor
from .shapes import Part


def donuts(s: Sculptor) -> list[Part]:
    """One or two glazed donuts with sprinkles; two lean on each other."""
    dough = near(s.rng, [(0.85, 0.6, 0.32), (0.7, 0.45, 0.2), (0.45, 0.28, 0.16)], 0.03)
    parts = []
    for k in range(s.pick([1, 1, 2])):
        minor = s.uniform(0.14, 0.2)
        glaze = (
            vivid(s.rng) if s.chance(0.6) else near(s.rng, [(0.95, 0.5, 0.65), (0.35, 0.18, 0.1), (0.96, 0.93, 0.86)])
        )
        ring = s.ring((0, 0, minor), 0.32, minor, 36, 20).scaled((1, 1, 0.9))
        edge = s.rng.uniform(0.0, 0.04)

        def glazed(points: np.ndarray, uv: np.ndarray, glaze: np.ndarray = glaze, edge: float = edge) -> np.ndarray:
            border = edge * np.sin(2 * np.pi * 7 * uv[:, 0])
            return np.where(((uv[:, 1] > 0.02 + border) & (uv[:, 1] < 0.47 + border))[:, None], glaze, dough)

        sprinkles = palette(s.rng, 3)
        pattern = spots(s.rng, glazed, sprinkles, 90, 0.025) if s.chance(0.5) else glazed
        donut = painted([ring], pattern)
        if k == 1:
            donut = [part.turned("y", s.uniform(25, 60)).moved((-0.3, s.uniform(-0.2, 0.2), 0.25)) for part in donut]
        parts += donut
    return parts


def layer_cake(s: Sculptor) -> list[Part]:
    """Round or square cakes in tiers, with icing, candles, cherries; sometimes a slice or a cupcake."""
    parts, z, radius = [], 0.0, s.uniform(0.36, 0.5)
    square = s.chance(0.2)
    if s.chance(0.3):
        cup, cream = any_colour(s.rng), any_colour(s.rng)
        parts = painted(
            [s.lathe([(0, 0), (0.24, 0), (0.34, 0.34), (0, 0.36)], 14, 30, False)],
            bands([cup, shade(cup, 0.75)], 30, 0),
        )
        for k in range(3):
            parts.append(
                s.ball((0, 0, 0.38 + 0.13 * k), (0.36 - 0.1 * k, 0.36 - 0.1 * k, 0.12), 20).coloured(
                    shade(cream, 1 - 0.04 * k)
                )
            )
        return [*parts, s.ball((0, 0, 0.76), 0.07, 10).coloured(vivid(s.rng))]
    for _ in range(s.count(1, 4)):
        height = s.uniform(0.15, 0.32)
        colours = palette(s.rng, 3)
        if square:
            tier = [s.box((0, 0, z + height / 2), (1.7 * radius, 1.7 * radius, height), 8)]
        else:
            tier = [s.lathe([(0, z), (radius, z), (radius, z + height), (0, z + height)], 18, 32, False)]
        pattern = s.pick(
            [
                any_pattern(s.rng, colours),
                gradient(colours[0], colours[1]),
                solid(colours[0]),
                stripes(s.rng, colours[:2], (0, 0, 1), 6, 0.02),
            ]
        )
        parts += painted(tier, pattern)
        if not square and s.chance(0.6):
            number = s.count(8, 16)
            for k in range(number):
                angle = 2 * np.pi * k / number
                parts.append(
                    s.ball(
                        (radius * 0.95 * np.cos(angle), radius * 0.95 * np.sin(angle), z + height), 0.045, 6
                    ).coloured(colours[2])
                )
        z, radius = z + height, radius * s.uniform(0.6, 0.85)
    for _ in range(s.count(0, 7)):
        reach, angle = s.uniform(0, 0.8) * radius, s.uniform(0, 6.28)
        at = np.array((reach * np.cos(angle), reach * np.sin(angle), z))
        if s.chance(0.6):
            candle = s.tube([at, at + (0, 0, 0.2)], 0.02, 6, 7, 0.1)
            parts += [
                *painted([candle], stripes(s.rng, palette(s.rng, 2), (0.3, 0, 1), 5)),
                s.ball(at + (0, 0, 0.24), (0.02, 0.02, 0.035), 6).coloured((1, 0.75, 0.2)),
            ]
        else:
            parts.append(
                s.ball(at + (0, 0, 0.04), 0.055, 8).coloured(near(s.rng, [(0.8, 0.08, 0.12), (0.2, 0.2, 0.5)]))
            )
    if s.chance(0.4):
        parts.append(s.lathe([(0, -0.05), (0.3, -0.05), (0.58, 0), (0, 0)], 8, 28, False).coloured(any_colour(s.rng)))
    return parts


def ice_cream(s: Sculptor) -> list[Part]:
    cone = s.lathe([(0, 0), (0.02, 0.0), (0.2, 0.55), (0.21, 0.6), (0, 0.6)], 16, 22, False)
    parts = painted(
        [cone], stripes(s.rng, [np.array((0.8, 0.58, 0.3)), np.array((0.7, 0.46, 0.22))], (0.6, 0.6, 1), 12)
    )
    for k in range(s.count(1, 3)):
        scoop = s.ball((s.uniform(-0.03, 0.03), s.uniform(-0.03, 0.03), 0.68 + 0.22 * k), 0.21 - 0.015 * k, 18)
        first = any_colour(s.rng)
        parts += painted([scoop], spots(s.rng, solid(first), [shade(first, 0.5)], s.count(1, 30), 0.06))
    return parts


def burger(s: Sculptor) -> list[Part]:
    """Stacked fillings between two halves of a bun."""
    bun = near(s.rng, [(0.85, 0.58, 0.28), (0.72, 0.42, 0.18)], 0.03)
    parts = [s.ball((0, 0, 0.06), (0.44, 0.44, 0.1), 22).coloured(bun)]
    z = 0.13
    for _ in range(s.count(2, 5)):
        colour = near(
            s.rng, [(0.35, 0.18, 0.1), (0.35, 0.65, 0.2), (0.85, 0.18, 0.12), (0.98, 0.8, 0.2), (0.95, 0.9, 0.8)], 0.03
        )
        thick, reach = s.uniform(0.03, 0.07), s.uniform(0.4, 0.5)
        if s.chance(0.3):
            parts.append(
                s.box((0, 0, z), (1.6 * reach, 1.6 * reach, 0.03), 3).turned("z", s.uniform(0, 90)).coloured(colour)
            )
        else:
            parts.append(s.ball((0, 0, z), (reach, reach, thick), 20, (1, 0.5)).coloured(colour))
        z += 1.3 * thick
    top = s.lathe([(0, z), (0.42, z), (0.46, z + 0.08), (0.33, z + 0.25), (0, z + 0.32)], 18, 24)
    return parts + painted([top], spots(s.rng, solid(bun), [np.array((0.97, 0.9, 0.7))], s.count(1, 70), 0.025))
