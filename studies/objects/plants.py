"""Plants, mostly in pots."""

import numpy as np

from .patterns import (
    LEAF,
    WOOD,
    any_colour,
    any_pattern,
    bands,
    marble,
    near,
    painted,
    shade,
    solid,
    speckled,
    spots,
    vivid,
)
from .sculptor import Sculptor
from .shapes import Part


def pot(s: Sculptor, width: float, height: float) -> list[Part]:
    colour = (
        near(s.rng, [(0.8, 0.42, 0.22), (0.7, 0.35, 0.2), (0.9, 0.88, 0.84)]) if s.chance(0.6) else any_colour(s.rng)
    )
    body = s.lathe(
        [
            (0, 0),
            (0.7 * width, 0),
            (0.95 * width, 0.78 * height),
            (1.08 * width, 0.8 * height),
            (1.08 * width, height),
            (0.9 * width, height),
            (0.9 * width, 0.9 * height),
            (0, 0.92 * height),
        ],
        26,
        28,
        False,
    )
    return painted([body], any_pattern(s.rng, [colour, any_colour(s.rng)]) if s.chance(0.3) else solid(colour))


def cactus(s: Sculptor) -> list[Part]:
    """Column, arms or ball, ribbed with pale spines, in a pot."""
    height, width = s.uniform(0.25, 0.5), s.uniform(0.16, 0.3)
    green = near(s.rng, LEAF)
    tall, thick = s.uniform(0.2, 0.7), s.uniform(0.55, 0.85) * width
    flesh = [s.tube([(0, 0, 0.8 * height), (0, 0, height + tall)], [thick, 0.85 * thick], 20, 24)]
    for _ in range(s.pick([0, 0, 1, 2, 3])):
        angle, z = s.uniform(0, 6.28), height + s.uniform(0.15, 0.6) * tall
        out = np.array((np.cos(angle), np.sin(angle), 0))
        reach, arm = thick + s.uniform(0.1, 0.2), 0.45 * thick + 0.02
        flesh.append(
            s.tube(
                [(0, 0, z), out * reach + (0, 0, z), out * (reach + 0.02) + (0, 0, z + s.uniform(0.15, 0.35))],
                arm,
                16,
                12,
            )
        )
    pattern = (
        bands([green, green, shade(green, 1.35)], 3 * s.count(5, 9), 0)
        if s.chance(0.6)
        else spots(s.rng, solid(green), [shade(green, 1.6)], 150, 0.025)
    )
    parts = pot(s, width, height) + painted(flesh, speckled(s.rng, pattern))
    if s.chance(0.4):
        bloom = vivid(s.rng)
        parts += [
            s.ball((0.04 * np.cos(k), 0.04 * np.sin(k), height + tall + 0.8 * thick), 0.05, 8).coloured(bloom)
            for k in (0, 2, 4)
        ]
    return parts


def tree(s: Sculptor) -> list[Part]:
    height = s.uniform(0.3, 0.6)
    bark, green = near(s.rng, WOOD), near(s.rng, LEAF) if s.chance(0.75) else vivid(s.rng)
    bend = s.uniform(-0.08, 0.08)
    parts = [
        s.tube([(0, 0, 0), (bend, bend, height / 2), (0, 0, height + 0.1)], [0.09, 0.06, 0.05], 12, 10, 0.1).coloured(
            bark
        )
    ]
    kind, crown = s.count(0, 2), []
    if kind == 0:
        for k in range(s.count(2, 4)):
            low = height * 0.6 + 0.2 * k
            crown.append(s.lathe([(0, low), (0.38 - 0.08 * k, low), (0, low + 0.4)], 12, 24, False))
    elif kind == 1:
        for _ in range(s.count(3, 8)):
            crown.append(
                s.ball(
                    (s.uniform(-0.2, 0.2), s.uniform(-0.2, 0.2), height + s.uniform(0.1, 0.4)),
                    s.uniform(0.15, 0.28),
                    14,
                )
            )
    else:
        for k in range(s.count(5, 8)):
            frond = s.tube(
                [(0, 0, height), (0.22, 0, height + 0.14), (0.46, 0, height - s.uniform(0, 0.2))],
                [(0.02, 0.04), (0.015, 0.08), (0.01, 0.01)],
                10,
                8,
                across=(0, 1, 0),
            )
            crown.append(frond.turned("z", 55 * k + s.uniform(-15, 15)))
    parts += painted(
        crown,
        spots(
            s.rng, marble(s.rng, shade(green, 0.75), shade(green, 1.1), 2.5), [vivid(s.rng)], s.pick([1, 1, 40]), 0.04
        ),
    )
    return parts if s.chance(0.7) else parts + [part.moved((0, 0, -0.2)) for part in pot(s, 0.2, 0.24)]


def flower(s: Sculptor) -> list[Part]:
    """A potted or cut flower that looks up and to the front, with petals in a ring."""
    height, tilt = s.uniform(0.45, 0.75), s.uniform(10, 80)
    petal, centre = vivid(s.rng), any_colour(s.rng)
    number, reach, wide = s.count(5, 12), s.uniform(0.16, 0.28), s.uniform(0.05, 0.1)
    bloom = [s.ball((0, 0, 0.02), (0.09, 0.09, 0.05), 14).coloured(centre)]
    for k in range(number):
        blade = s.tube(
            [(0.05, 0, 0), (0.05 + reach / 2, 0, 0.03), (0.05 + reach, 0, 0.01)],
            [(0.015, 0.03), (0.018, wide), (0.01, 0.03)],
            8,
            8,
            across=(0, 1, 0),
        )
        bloom.append(blade.turned("z", 360 * k / number).coloured(petal if k % 2 else shade(petal, 0.85)))
    parts = [part.turned("y", tilt).moved((0.06, 0, height)) for part in bloom]
    parts.append(
        s.tube([(0, 0, 0), (-0.02, 0, height / 2), (0.05, 0, height)], 0.022, 12, 8).coloured((0.25, 0.5, 0.18))
    )
    for side in (-1, 1):
        blade = s.tube(
            [(0, 0, 0.2), (0.03, side * 0.14, 0.3), (0.05, side * 0.28, 0.24)],
            [(0.01, 0.02), (0.012, 0.06), (0.01, 0.01)],
            8,
            8,
            across=(1, 0, 0),
        )
        parts.append(blade.coloured(near(s.rng, LEAF)))
    return parts + [part.moved((0, 0, -0.15)) for part in pot(s, 0.16, 0.22)] if s.chance(0.5) else parts
