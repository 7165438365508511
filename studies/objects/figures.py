"""Little people and snowmen, facing +x."""

import numpy as np

from .patterns import (
    any_colour,
    any_pattern,
    near,
    painted,
    palette,
    solid,
    speckled,
    vivid,
)
from .sculptor import Sculptor
from .shapes import Part


def doll(s: Sculptor) -> list[Part]:
    """Little people: dress or trousers, arms in any pose, hair or hat."""
    skin = near(s.rng, [(0.95, 0.78, 0.66), (0.8, 0.58, 0.42), (0.5, 0.33, 0.23), (0.95, 0.85, 0.75)], 0.02)
    hair = near(s.rng, [(0.12, 0.08, 0.06), (0.4, 0.22, 0.1), (0.9, 0.75, 0.4), (0.7, 0.25, 0.12)])
    top, bottom, shoe = palette(s.rng, 3)
    hip, shoulder = s.uniform(0.36, 0.5), s.uniform(0.7, 0.85)
    size = s.uniform(0.1, 0.2)
    parts = []
    if s.chance(0.5):
        skirt = s.uniform(0.18, 0.36)
        parts += painted(
            [s.lathe([(0, 0), (skirt, 0.0), (0.85 * skirt, 0.4 * hip), (0.11, hip), (0.0, hip + 0.03)], 22, 26)],
            any_pattern(s.rng),
        )
    else:
        for side in (-1, 1):
            parts.append(
                s.tube(
                    [(0, side * 0.07, hip), (s.uniform(-0.05, 0.1), side * 0.09, 0.05)], [0.085, 0.06], 8, 10
                ).coloured(bottom)
            )
            parts.append(s.ball((0.05, side * 0.09, 0.035), (0.11, 0.06, 0.045), 10).coloured(shoe))
    trunk = s.tube(
        [(0, 0, hip - 0.02), (0, 0, shoulder - 0.04)], [(0.12, 0.09), (0.14, 0.09)], 10, 14, across=(1, 0, 0)
    )
    parts += painted([trunk], any_pattern(s.rng) if s.chance(0.4) else solid(top))
    for side in (-1, 1):
        hand = np.array((s.uniform(-0.05, 0.25), side * s.uniform(0.16, 0.42), shoulder + s.uniform(-0.35, 0.25)))
        elbow = (np.array((0, side * 0.13, shoulder - 0.05)) + hand) / 2 + (-0.03, side * 0.03, 0)
        parts.append(
            s.tube([(0, side * 0.12, shoulder - 0.06), elbow, hand], [0.05, 0.042, 0.035], 8, 8).coloured(
                top if s.chance(0.6) else skin
            )
        )
        parts.append(s.ball(hand, 0.045, 8).coloured(skin))
    at = np.array((0.01, 0, shoulder + size + 0.02))
    parts += [
        s.tube([(0, 0, shoulder - 0.06), at], 0.05, 4, 8).coloured(skin),
        s.ball(at, (size, 0.9 * size, 1.1 * size), 16).coloured(skin),
    ]
    parts += s.eyes(at + (0.88 * size, 0, 0.1 * size), 0.36 * size, 0.1 * size + 0.004, np.full(3, 0.08), s.chance(0.2))
    parts.append(
        s.ball(at + (0.88 * size, 0, -0.45 * size), np.array((0.08, 0.3, 0.09)) * size, 8).coloured((0.75, 0.25, 0.25))
    )
    parts.append(s.ball(at + (-0.16 * size, 0, 0.22 * size), np.array((1, 1.02, 1.05)) * size, 16).coloured(hair))
    if s.chance(0.4):
        long = s.uniform(0.1, 0.35)
        parts.append(
            s.tube(
                [at + (-0.5 * size, 0, 0.2 * size), at + (-0.9 * size, 0, -long)],
                [(0.5 * size, 0.8 * size), (0.25 * size, 0.5 * size)],
                8,
                10,
                across=(0, 1, 0),
            ).coloured(hair)
        )
    if s.chance(0.35):
        hat = any_colour(s.rng)
        parts.append(
            s.lathe(
                [
                    (0, 0),
                    (1.5 * size, 0),
                    (1.5 * size, 0.1 * size),
                    (0.85 * size, 0.15 * size),
                    (s.uniform(0, 0.9) * size, s.uniform(0.8, 1.8) * size),
                    (0, 1.8 * size),
                ],
                14,
                16,
                False,
            )
            .moved(at + (-0.05 * size, 0, 0.55 * size))
            .coloured(hat)
        )
    return parts


def snowman(s: Sculptor) -> list[Part]:
    body = np.full(3, s.uniform(0.85, 0.97)) if s.chance(0.6) else any_colour(s.rng)
    radii = np.array((0.3, 0.22, 0.16)) * s.rng.uniform(0.85, 1.15, 3)
    radii = radii[: s.count(2, 3)]
    parts, z = [], 0.0
    for radius in radii:
        z += 0.85 * radius
        parts.append(s.ball((0, 0, z), radius, 22))
        z += 0.8 * radius
    parts = painted(parts, speckled(s.rng, solid(body), 0.03))
    radius, centre = radii[-1], z - 0.8 * radii[-1]
    at = np.array((0, 0, centre))
    parts += s.eyes(at + (0.86 * radius, 0, 0.3 * radius), 0.35 * radius, 0.11 * radius, np.full(3, 0.07), False)
    parts.append(
        s.cone(at + (0.9 * radius, 0, 0), at + (radius + s.uniform(0.1, 0.25), 0, -0.02), 0.22 * radius).coloured(
            (0.95, 0.5, 0.12)
        )
    )
    for k in range(3):
        low = 0.85 * radii[0] + radii[0] * (0.4 + 0.3 * k)
        parts.append(
            s.ball(
                (np.sqrt(max(radii[0] ** 2 - (low - 0.85 * radii[0]) ** 2, 0.0004)) + 0.005, 0, low), 0.03, 8
            ).coloured((0.1, 0.1, 0.1))
        )
    for side in (-1, 1):
        z = 0.85 * radii[0] + 0.9 * radii[0]
        parts.append(
            s.tube(
                [
                    (0, side * 0.6 * radii[0], z),
                    (s.uniform(-0.1, 0.2), side * s.uniform(0.4, 0.6), z + s.uniform(-0.05, 0.25)),
                ],
                0.018,
                6,
                7,
            ).coloured((0.35, 0.22, 0.12))
        )
    parts.append(s.ring(at - (0, 0, 0.85 * radius), 0.75 * radius, 0.05, 24, 8).coloured(vivid(s.rng)))
    if s.chance(0.7):
        hat = [
            (0, 0),
            (1.1 * radius, 0),
            (1.1 * radius, 0.03),
            (0.7 * radius, 0.05),
            (0.7 * radius, 0.9 * radius),
            (0, 0.95 * radius),
        ]
        parts.append(s.lathe(hat, 16, 20, False).moved(at + (0, 0, 0.7 * radius)).coloured(any_colour(s.rng)))
    return parts
