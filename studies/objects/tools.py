"""Things to use, hear and wear; fronts face +x."""

import numpy as np

from .patterns import (
    METAL,
    WOOD,
    any_colour,
    any_pattern,
    bands,
    near,
    painted,
    palette,
    shade,
    solid,
    speckled,
    spots,
)
from .sculptor import Sculptor
from .shapes import Part


def microphone(s: Sculptor) -> list[Part]:
    body, grille, detail = near(s.rng, METAL), near(s.rng, METAL), any_colour(s.rng)
    handle = s.lathe(
        [(0, 0), (0.05, 0), (0.05, 0.04), (s.uniform(0.055, 0.08), 0.5), (0.11, 0.66), (0, 0.67)], 26, 20, False
    )
    parts = painted([handle], bands([body, body, body, detail, body, body], 6))
    head = s.ball((0, 0, 0.8), (0.14, 0.14, s.uniform(0.13, 0.2)), 20)
    parts += painted([head], speckled(s.rng, bands([grille, shade(grille, 0.7)], s.count(10, 20)), 0.15, 8))
    parts += [
        s.ring((0, 0, 0.68), 0.125, 0.022, 20, 8).coloured(detail),
        s.box((0.075, 0, 0.45), (0.03, 0.04, 0.1), 3).coloured(detail),
    ]
    if s.chance(0.6):
        parts.append(
            s.tube(
                [(0, 0, 0), (s.uniform(-0.1, 0.1), 0, -0.2), (s.uniform(-0.2, 0.2), s.uniform(-0.2, 0.2), -0.45)],
                0.02,
                12,
                8,
            ).coloured((0.08, 0.08, 0.08))
        )
    tilt = s.pick([0, 0, s.uniform(-60, 60)])
    return [part.turned("x", tilt) for part in parts]


def hand_tool(s: Sculptor) -> list[Part]:
    """Hammer, brush, spoon, spade or pan: a handle with a head."""
    wood, head_colour = (
        near(s.rng, WOOD) if s.chance(0.5) else any_colour(s.rng),
        near(s.rng, METAL) if s.chance(0.6) else any_colour(s.rng),
    )
    handle = s.tube([(0, 0, 0), (0, 0, 0.3), (0, 0, 0.75)], [0.045, 0.05, 0.035], 12, 12)
    kind = s.count(0, 4)
    if kind == 0:
        head = [s.tube([(0, -0.2, 0.75), (0, 0.22, 0.75)], [0.085, 0.06], 8, 14, 0.1)]
    elif kind == 1:
        head = [s.box((0, 0, 0.8), (0.07, 0.24, 0.1), 3), s.box((0, 0, 0.93), (0.06, 0.22, 0.2), 5, 1.15)]
    elif kind == 2:
        head = [s.ball((0, 0, 0.88), (0.05, 0.15, 0.2), 18)]
    elif kind == 3:
        head = [s.tube([(0, 0, 0.72), (0, 0, 0.85), (0, 0, 1.1)], [(0.15, 0.02), (0.16, 0.02), (0.02, 0.01)], 12, 12)]
    else:
        head = [
            s.lathe([(0, 0), (0.25, 0), (0.3, 0.08), (0.26, 0.06), (0, 0.03)], 16, 26)
            .turned("y", 90)
            .moved((0, 0, 1.0))
        ]
    parts = painted([handle], bands([wood, wood, shade(wood, 0.6), any_colour(s.rng)], s.count(3, 8))) + painted(
        head, solid(head_colour)
    )
    tilt, turn = s.pick([0, 90, s.uniform(-90, 90)]), s.uniform(-40, 40)
    return [part.turned("x", tilt).turned("z", turn) for part in parts]


def umbrella(s: Sculptor) -> list[Part]:
    colours = palette(s.rng, s.count(2, 4))
    drop = s.uniform(0.2, 0.45)
    canopy = s.lathe([(0.48, 1 - drop), (0.35, 1 - 0.4 * drop), (0.0, 1)], 16, 40)
    under = s.lathe([(0.0, 0.985), (0.34, 0.985 - 0.4 * drop), (0.475, 1 - drop)], 12, 40)
    parts = painted([canopy, under], bands(colours, len(colours) * s.count(2, 4), 0))
    pole = s.tube([(0, 0, 1.05), (0, 0, 0.5), (0, 0, 0.12), (0, 0.06, 0.02), (0, 0.12, 0.1)], 0.018, 24, 8)
    return [*parts, pole.coloured(any_colour(s.rng))]


def clock_or_globe(s: Sculptor) -> list[Part]:
    frame, face, mark = palette(s.rng, 3)
    if s.chance(0.5):
        globe = s.ball((0, 0, 0.6), 0.34, 26)
        parts = painted([globe], any_pattern(s.rng, [frame, face, mark]))
        return [
            *parts,
            s.lathe([(0, 0), (0.26, 0), (0.05, 0.08), (0.04, 0.27), (0, 0.28)], 16, 20).coloured(mark),
            s.ring((0, 0, 0), 0.38, 0.022, 32, 6).turned("x", 90).moved((0, 0, 0.6)).coloured(mark),
        ]
    radius = 0.42
    disc = (
        s.lathe([(0, -0.08), (radius, -0.08), (radius, 0.06), (0, 0.06)], 14, 36, False)
        .turned("y", 90)
        .moved((0, 0, radius))
    )
    dial = s.lathe([(0, 0.06), (0.85 * radius, 0.062), (0, 0.066)], 10, 32, False).turned("y", 90).moved((0, 0, radius))
    parts = [disc.coloured(frame), dial.coloured(face if s.chance(0.4) else (0.95, 0.94, 0.9))]
    for k in range(12):
        angle = k * np.pi / 6
        parts.append(
            s.ball(
                (0.07, 0.7 * radius * np.sin(angle), radius + 0.7 * radius * np.cos(angle)), (0.01, 0.022, 0.022), 6
            ).coloured(mark)
        )
    for reach in (0.3, 0.5):
        angle = s.uniform(0, 6.28)
        parts.append(
            s.tube(
                [(0.075, 0, radius), (0.075, reach * radius * np.sin(angle), radius + reach * radius * np.cos(angle))],
                0.016,
                3,
                6,
            ).coloured((0.08, 0.08, 0.08))
        )
    for side in (-1, 1):
        parts.append(s.ball((0, side * 0.22, 0.02), 0.07, 10).coloured(mark))
    return parts


def shoe_or_hat(s: Sculptor) -> list[Part]:
    colours = palette(s.rng, 3)
    if s.chance(0.5):
        brim, crown, height = s.uniform(0.35, 0.5), s.uniform(0.2, 0.28), s.uniform(0.2, 0.55)
        hat = s.lathe(
            [(0, 0), (brim, 0), (brim, 0.03), (1.02 * crown, 0.05), (s.uniform(0.6, 1.1) * crown, height), (0, height)],
            24,
            30,
            False,
        )
        band = s.lathe([(1.03 * crown, 0.05), (1.03 * crown, 0.12)], 4, 30, False)
        return painted([hat], any_pattern(s.rng, colours) if s.chance(0.5) else solid(colours[0])) + [
            band.coloured(colours[1])
        ]
    sole = s.tube([(-0.35, 0, 0.04), (0, 0, 0.04), (0.4, 0, 0.04)], [(0.05, 0.13), (0.05, 0.12), (0.05, 0.15)], 14, 14)
    upper = s.tube(
        [(-0.3, 0, 0.13), (0, 0, 0.14), (0.36, 0, 0.09)], [(0.14, 0.12), (0.13, 0.115), (0.08, 0.13)], 16, 16
    )
    shaft = s.tube([(-0.24, 0, 0.15), (-0.26, 0, s.uniform(0.25, 0.7))], [(0.13, 0.11), (0.14, 0.12)], 10, 16, 0.1)
    parts = painted([upper, shaft], any_pattern(s.rng, colours) if s.chance(0.5) else solid(colours[0])) + [
        sole.coloured(colours[1])
    ]
    for k in range(3):
        parts.append(
            s.tube(
                [(0.02 + 0.09 * k, -0.08, 0.25 - 0.025 * k), (0.04 + 0.09 * k, 0.08, 0.25 - 0.025 * k)], 0.014, 4, 6
            ).coloured(colours[2])
        )
    return parts


def instrument(s: Sculptor) -> list[Part]:
    """Guitar or drum, front to +x."""
    wood, other = near(s.rng, WOOD) if s.chance(0.6) else any_colour(s.rng), any_colour(s.rng)
    if s.chance(0.4):
        drum = s.lathe([(0, 0), (0.4, 0), (0.4, s.uniform(0.3, 0.6)), (0, 0.6)], 20, 32, False)
        return [*painted([drum], any_pattern(s.rng)), s.ring((0, 0, 0.02), 0.4, 0.03, 32, 8).coloured(other)]
    low, high = s.uniform(0.22, 0.28), s.uniform(0.16, 0.22)
    body = [
        s.ball((0, 0, low), (0.08, low, low), 24, (1, 0.7)),
        s.ball((0, 0, 2 * low), (0.08, high, high), 22, (1, 0.7)),
    ]
    neck = [
        s.box((0.05, 0, 2 * low + 0.45), (0.04, 0.06, 0.7), 3),
        s.box((0.05, 0, 2 * low + 0.85), (0.05, 0.11, 0.16), 3),
    ]
    hole = s.ball((0.07, 0, 1.55 * low), (0.02, 0.07, 0.07), 14)
    return (
        painted(body, spots(s.rng, solid(wood), [shade(wood, 0.7)], 3, 0.2))
        + [part.coloured(shade(wood, 0.4)) for part in neck]
        + [hole.coloured((0.06, 0.05, 0.05))]
    )
