"""Vehicles, driving along +x."""

import numpy as np

from .patterns import (
    WOOD,
    any_colour,
    any_pattern,
    bands,
    near,
    painted,
    palette,
    shade,
    solid,
    stripes,
)
from .sculptor import Sculptor
from .shapes import Part


def wheel(s: Sculptor, at: np.ndarray, radius: float, width: float) -> list[Part]:
    tyre = s.lathe(
        [(0, -width / 2), (0.9 * radius, -width / 2), (radius, 0), (0.9 * radius, width / 2), (0, width / 2)],
        10,
        18,
        False,
    )
    hub = s.ball((0, 0, 0), (0.5 * radius, 0.5 * radius, 0.62 * width), 10)
    return [
        tyre.turned("x", 90).moved(at).coloured((0.1, 0.1, 0.11)),
        hub.turned("x", 90).moved(at).coloured((0.75, 0.75, 0.77)),
    ]


def car(s: Sculptor) -> list[Part]:
    """Cars, vans, pick-ups and buses."""
    half, wide, tall, radius = 0.5, s.uniform(0.2, 0.27), s.uniform(0.09, 0.14), s.uniform(0.08, 0.13)
    paint, other = palette(s.rng, 2)
    floor = radius * 0.9
    long, back, cabin = s.uniform(0.2, 0.45), s.uniform(-0.2, 0.05), s.uniform(0.12, 0.26)
    sharp = s.pick([0.25, 0.5])
    shell = [s.ball((0, 0, floor + tall), (half, wide, tall), 28, (sharp, 0.45))]
    roof_z = floor + 1.7 * tall
    glass = s.ball((back, 0, roof_z), (long, 0.9 * wide, cabin), 24, (0.4, 0.6))
    roof = s.ball((back, 0, roof_z + 0.75 * cabin), (0.75 * long, 0.8 * wide, 0.3 * cabin), 20, (0.4, 0.5))
    parts = painted([*shell, roof], any_pattern(s.rng, [paint, other]) if s.chance(0.3) else solid(paint))
    parts.append(glass.coloured((0.2, 0.27, 0.34)))
    for x in (-0.3, 0.3):
        for side in (-1, 1):
            parts += wheel(s, np.array((x, side * wide * 0.95, radius)), radius, 0.09)
    for side in (-1, 1):
        parts.append(
            s.ball((0.97 * half, side * 0.6 * wide, floor + 1.1 * tall), (0.03, 0.045, 0.035), 8).coloured(
                (0.98, 0.95, 0.75)
            )
        )
        parts.append(
            s.ball((-0.97 * half, side * 0.65 * wide, floor + 1.1 * tall), (0.03, 0.04, 0.035), 8).coloured(
                (0.8, 0.08, 0.06)
            )
        )
    parts.append(
        s.box((0.98 * half, 0, floor + 0.7 * tall), (0.03, 0.7 * wide, 0.4 * tall), 3).coloured((0.15, 0.15, 0.16))
    )
    return parts


def truck(s: Sculptor) -> list[Part]:
    """Lorries, buses and train engines from boxes on wheels."""
    wide, radius = s.uniform(0.17, 0.24), s.uniform(0.07, 0.1)
    cab, load = palette(s.rng, 2)
    front, height = s.uniform(0.2, 0.3), s.uniform(0.28, 0.5)
    parts = [s.box((0, 0, 1.3 * radius), (1.0, 1.6 * wide, 0.06), 3).coloured((0.2, 0.2, 0.2))]
    cab_tall = s.uniform(0.7, 1.1) * height
    parts.append(s.box((0.5 - front / 2, 0, 1.5 * radius + cab_tall / 2), (front, 2 * wide, cab_tall), 4).coloured(cab))
    parts.append(
        s.box(
            (0.5 - front / 2 + 0.012, 0, 1.5 * radius + 0.7 * cab_tall), (front, 1.7 * wide, 0.35 * cab_tall), 3
        ).coloured((0.2, 0.28, 0.36))
    )
    at, size = (-front / 2 - 0.01, 0, 1.5 * radius + height / 2), (0.98 - front, 2 * wide, height)
    if s.chance(0.65):
        cargo = s.box(at, size, 10)
    else:
        cargo = s.tube([(-0.45, 0, at[2]), (0.45 - front, 0, at[2])], min(wide, height / 2), 14, 18, 0.3)
    parts += painted([cargo], any_pattern(s.rng, [load, any_colour(s.rng), any_colour(s.rng)]))
    for x in (-0.38, -0.2, 0.34):
        for side in (-1, 1):
            parts += wheel(s, np.array((x, side * wide, radius)), radius, 0.08)
    for side in (-1, 1):
        parts.append(s.ball((0.51, side * 0.7 * wide, 2.2 * radius), (0.02, 0.04, 0.04), 8).coloured((0.98, 0.95, 0.7)))
    if s.chance(0.3):
        parts.append(
            s.tube([(0.3, 0, cab_tall), (0.3, 0, cab_tall + 0.3)], [0.05, 0.07], 5, 12, 0.1).coloured(
                (0.15, 0.15, 0.15)
            )
        )
    return parts


def plane(s: Sculptor) -> list[Part]:
    body, wing, detail = palette(s.rng, 3)
    radius, span = s.uniform(0.07, 0.12), s.uniform(0.4, 0.55)
    hull = s.tube(
        [(-0.5, 0, 0.06), (-0.2, 0, 0), (0.3, 0, 0), (0.46, 0, -0.02)], np.array([0.3, 0.95, 1, 0.55]) * radius, 24, 16
    )
    parts = painted(
        [hull], stripes(s.rng, [body, body, detail], (0, 0, 1), s.uniform(6, 14)) if s.chance(0.5) else solid(body)
    )
    wings, sweep, chord, lift = [], s.uniform(-0.25, 0.05), s.uniform(0.1, 0.18), s.uniform(-0.03, 0.1)
    for side in (-1, 1):
        wings.append(
            s.tube(
                [(0.05, 0, 0), (0.05 + sweep, side * span, lift)],
                [(chord, 0.022), (0.55 * chord, 0.012)],
                10,
                10,
                across=(0, 0, 1),
            )
        )
        wings.append(
            s.tube([(-0.45, 0, 0.06), (-0.5, side * 0.2, 0.07)], [(0.09, 0.015), (0.05, 0.01)], 6, 8, across=(0, 0, 1))
        )
        if s.chance(0.5):
            at = np.array((0.08 + sweep / 2, side * span / 2, lift / 2 - 0.05))
            wings.append(s.tube([at - (0.08, 0, 0), at + (0.1, 0, 0)], 0.045, 6, 10, 0.3))
    wings.append(s.tube([(-0.42, 0, 0.05), (-0.5, 0, 0.27)], [(0.1, 0.015), (0.06, 0.01)], 6, 8))
    parts += painted(wings, solid(wing))
    parts.append(s.ball((0.25, 0, 0.75 * radius), (0.12, 0.6 * radius, 0.5 * radius), 12).coloured((0.2, 0.3, 0.4)))
    if s.chance(0.5):
        parts += [
            s.box((0.53, 0, -0.02), (0.015, 0.03, 0.36), 3)
            .turned("x", s.uniform(0, 90), (0.53, 0, -0.02))
            .coloured(detail),
            s.ball((0.52, 0, -0.02), 0.035, 8).coloured((0.2, 0.2, 0.2)),
        ]
    return parts


def boat(s: Sculptor) -> list[Part]:
    hull, deck, sail = palette(s.rng, 3)
    wide, deep = s.uniform(0.13, 0.22), s.uniform(0.12, 0.2)
    body = s.tube(
        [(-0.45, 0, 0), (-0.2, 0, -0.02), (0.2, 0, -0.01), (0.5, 0, 0.05)],
        [(deep, wide), (deep, 1.15 * wide), (deep, wide), (0.3 * deep, 0.06)],
        22,
        16,
        0.3,
    )
    body = body.scaled(np.where(body.vertices[:, 2:] > 0, np.array([[1, 1, 0.12]]), 1.0))
    parts = painted([body], stripes(s.rng, [hull, shade(hull, 0.6), deck], (0, 0, 1), 5))
    if s.chance(0.6):
        tall = s.uniform(0.6, 0.9)
        parts.append(s.tube([(0.05, 0, 0), (0.05, 0, tall)], 0.018, 6, 8).coloured(near(s.rng, WOOD)))
        main = s.tube(
            [(-0.02, 0, 0.08), (-0.02, 0.04, tall / 2), (0.0, 0, tall * 0.97)],
            [(0.36, 0.012), (0.2, 0.02), (0.01, 0.01)],
            14,
            14,
            0.1,
        )
        jib = s.tube(
            [(0.2, 0, 0.08), (0.16, 0.04, tall / 2), (0.07, 0, tall * 0.9)],
            [(0.16, 0.012), (0.08, 0.02), (0.01, 0.01)],
            12,
            12,
            0.1,
        )
        parts += painted([main.moved((-0.14, 0, 0))], any_pattern(s.rng, [sail, deck])) + [
            jib.moved((0.1, 0, 0)).coloured(sail)
        ]
    else:
        parts.append(s.box((-0.1, 0, 0.12), (0.4, 1.4 * wide, 0.2), 5).coloured(sail))
        for k in range(s.count(1, 3)):
            parts.append(
                s.tube([(-0.2 + 0.13 * k, 0, 0.2), (-0.2 + 0.13 * k, 0, 0.42)], 0.045, 6, 12, 0.1).coloured(deck)
            )
    return parts


def rocket(s: Sculptor) -> list[Part]:
    colours = palette(s.rng, 3)
    width = s.uniform(0.11, 0.2)
    body = s.lathe([(0, 0.08), (0.7 * width, 0.08), (width, 0.35), (0.85 * width, 0.7), (0, 1.0)], 30, 24)
    parts = painted([body], bands([colours[0], colours[0], colours[1]], s.count(3, 8)))
    for k in range(s.count(3, 4)):
        fin = s.tube(
            [(0.8 * width, 0, 0.35), (width + 0.14, 0, 0.02)], [(0.02, 0.1), (0.015, 0.05)], 8, 10, across=(0, 0, 1)
        )
        parts.append(fin.turned("z", 120 * k + 30).coloured(colours[2]))
    return [
        *parts,
        s.ring((0, 0, 0), 0.05, 0.018, 18, 6).turned("y", 90).moved((0.95 * width, 0, 0.6)).coloured(colours[2]),
        s.ball((0.87 * width, 0, 0.6), (0.04, 0.05, 0.05), 10).coloured((0.4, 0.65, 0.85)),
    ]
