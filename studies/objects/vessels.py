"""Vessels: surfaces of revolution with handles and spouts, which lie along +-y."""

import numpy as np

from .patterns import (
    Pattern,
    any_colour,
    any_pattern,
    painted,
    palette,
    solid,
    speckled,
)
from .sculptor import Sculptor
from .shapes import Part


def vessel_profile(s: Sculptor, height: float, width: float, open_top: bool) -> list[tuple[float, float]]:
    foot, belly, neck = s.uniform(0.4, 0.9), s.uniform(0.85, 1.05), s.uniform(0.3, 1.0)
    at = s.uniform(0.25, 0.6)
    outer = [
        (0, 0),
        (foot * width, 0),
        (foot * width, 0.02),
        (belly * width, at * height),
        (neck * width, 0.85 * height),
        (s.uniform(0.9, 1.3) * neck * width, height),
    ]
    rim = outer[-1][0]
    return (
        [*outer, (0.88 * rim, height), (0.75 * neck * width, 0.8 * height), (0, 0.7 * height)]
        if open_top
        else [*outer[:-1], (0, height)]
    )


def glaze(s: Sculptor) -> Pattern:
    return any_pattern(s.rng) if s.chance(0.8) else speckled(s.rng, solid(any_colour(s.rng)))


def teapot(s: Sculptor) -> list[Part]:
    width, height = s.uniform(0.28, 0.42), s.uniform(0.35, 0.65)
    profile = [
        (0, 0),
        (s.uniform(0.5, 0.9) * width, 0),
        (width, s.uniform(0.35, 0.6) * height),
        (0.55 * width, 0.92 * height),
        (0.45 * width, height),
        (0, height),
    ]
    body = s.lathe(profile, 30, 36)
    lid = s.lathe(
        [(0, height - 0.01), (0.5 * width, height - 0.01), (0.4 * width, height + 0.06), (0, height + 0.09)], 12, 24
    )
    knob = s.ball((0, 0, height + 0.12), s.uniform(0.035, 0.06), 10)
    up = s.uniform(0.8, 1.05) * height
    spout = s.tube(
        [
            (0, 0.75 * width, 0.3 * height),
            (0, 1.15 * width, 0.45 * height),
            (0, 1.3 * width, 0.75 * height),
            (0, 1.3 * width + s.uniform(0.08, 0.2), up),
        ],
        [0.11, 0.075, 0.05, 0.04],
        16,
        12,
        0.2,
    )
    thick = s.uniform(0.028, 0.045)
    if s.chance(0.75):
        handle = s.tube(
            [
                (0, -0.6 * width, 0.88 * height),
                (0, -1.45 * width, 0.95 * height),
                (0, -1.55 * width, 0.5 * height),
                (0, -0.85 * width, 0.25 * height),
            ],
            thick,
            20,
            9,
        )
    else:
        handle = s.tube(
            [
                (0, -0.55 * width, 0.85 * height),
                (0, -0.6 * width, 1.5 * height),
                (0, 0.6 * width, 1.5 * height),
                (0, 0.55 * width, 0.85 * height),
            ],
            thick,
            24,
            9,
        )
    colours = palette(s.rng, 4)
    parts = painted([body], any_pattern(s.rng, colours) if s.chance(0.85) else solid(colours[0]))
    parts += painted([spout, handle], solid(colours[s.count(0, 2)])) + painted(
        [lid, knob], solid(colours[s.count(0, 3)])
    )
    turn = s.pick([0, 0, 180, 180]) + s.uniform(-50, 50)
    return [part.turned("z", turn) for part in parts]


def mug(s: Sculptor) -> list[Part]:
    height, width = s.uniform(0.45, 0.9), s.uniform(0.25, 0.36)
    flare, wall = s.uniform(0.75, 1.15), 0.035
    outside = s.lathe(
        [(0, 0), (0.95 * width, 0), (width, 0.03), (flare * width, height), (flare * width - wall, height)],
        26,
        36,
        False,
    )
    inside = s.lathe([(flare * width - wall, height), (width - wall, 0.06), (0, 0.06)], 12, 24, False)
    reach = s.uniform(0.2, 0.32)
    handle = s.tube(
        [
            (0, 0.9 * width, 0.82 * height),
            (0, width + reach, 0.75 * height),
            (0, width + reach, 0.35 * height),
            (0, 0.92 * width, 0.2 * height),
        ],
        [(0.03, 0.045)] * 4,
        20,
        9,
    )
    colours = palette(s.rng, 3)
    parts = painted([outside], any_pattern(s.rng, colours)) + [
        inside.coloured(colours[2] if s.chance(0.5) else (0.93, 0.92, 0.9)),
        handle.coloured(colours[s.count(0, 1)]),
    ]
    if s.chance(0.4):
        parts.append(
            s.lathe([(0, height * 0.85), (flare * width - wall, height * 0.85)], 3, 24, False).coloured(
                (0.3, 0.16, 0.08)
            )
        )
    turn = s.pick([0, 180]) + s.uniform(-60, 60)
    return [part.turned("z", turn) for part in parts]


def vase(s: Sculptor) -> list[Part]:
    height, width = s.uniform(0.7, 1.0), s.uniform(0.18, 0.4)
    parts = painted([s.lathe(vessel_profile(s, height, width, True), 40, 32)], glaze(s))
    if s.chance(0.3):
        for side in (-1, 1):
            handle = s.tube(
                [
                    (0, side * 0.5 * width, 0.85 * height),
                    (0, side * 1.35 * width, 0.75 * height),
                    (0, side * 0.9 * width, 0.45 * height),
                ],
                0.03,
                14,
                8,
            )
            parts.append(handle.coloured(any_colour(s.rng)))
    if s.chance(0.4):
        for _ in range(s.count(1, 6)):
            tip = np.array((s.uniform(-0.3, 0.3), s.uniform(-0.3, 0.3), height + s.uniform(0.2, 0.5)))
            parts.append(
                s.tube([(0, 0, 0.75 * height), (0.2 * tip[0], 0.2 * tip[1], height + 0.1), tip], 0.015, 8, 6).coloured(
                    (0.25, 0.5, 0.18)
                )
            )
            parts.append(s.ball(tip, s.uniform(0.06, 0.12), 10).coloured(any_colour(s.rng)))
    return parts


def bottle(s: Sculptor) -> list[Part]:
    width, shoulder, height = s.uniform(0.12, 0.26), s.uniform(0.45, 0.75), 1.0
    neck = s.uniform(0.25, 0.6) * width
    body = s.lathe(
        [
            (0, 0),
            (0.95 * width, 0),
            (width, 0.04),
            (width, shoulder),
            (neck, shoulder + 0.15),
            (neck, height - 0.05),
            (0, height - 0.05),
        ],
        30,
        28,
        False,
    )
    glass, cap = palette(s.rng, 2)
    low, high = s.uniform(0.08, 0.25), s.uniform(0.4, 0.55)
    paper = any_pattern(s.rng)

    def pattern(points: np.ndarray, uv: np.ndarray) -> np.ndarray:
        z = points[:, 2] + 0.5
        on_label = (z > low) & (z < high) & (np.hypot(points[:, 0], points[:, 1]) > 0.9 * width)
        return np.where(on_label[:, None], paper(points, uv), glass)

    parts = painted([body], pattern)
    return [
        *parts,
        s.lathe(
            [(0, height - 0.09), (1.2 * neck, height - 0.09), (1.2 * neck, height), (0, height)], 8, 20, False
        ).coloured(cap),
    ]


def bowl(s: Sculptor) -> list[Part]:
    """A bowl, basket or plate, filled with things or empty."""
    width, height = s.uniform(0.4, 0.5), s.uniform(0.12, 0.4)
    outside = s.lathe([(0, 0), (0.4 * width, 0), (0.8 * width, 0.5 * height), (width, height)], 18, 34)
    inside = s.lathe(
        [(width, height), (0.95 * width, height), (0.75 * width, 0.55 * height), (0, 0.12 * height)], 14, 30
    )
    parts = painted([outside], glaze(s)) + painted([inside], glaze(s))
    colours = palette(s.rng, 3)
    for _ in range(s.pick([0, 0, 5, 8])):
        angle, reach, radius = s.uniform(0, 6.28), s.uniform(0, 0.6) * width, s.uniform(0.08, 0.14)
        parts.append(
            s.ball(
                (reach * np.cos(angle), reach * np.sin(angle), height * 0.8 + s.uniform(0, 0.08)), radius, 12
            ).coloured(s.pick(colours))
        )
    return parts
