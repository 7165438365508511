"""Fruit, whole, peeled, in bunches, and mushrooms."""

import numpy as np

from .patterns import (
    Pattern,
    gradient,
    hsv,
    marble,
    near,
    painted,
    shade,
    solid,
    speckled,
    spots,
    stripes,
    vivid,
)
from .sculptor import Sculptor
from .shapes import Part

STEM = (0.36, 0.26, 0.12)


def leaf(s: Sculptor, root: np.ndarray, tip: np.ndarray, width: float) -> Part:
    middle = (np.asarray(root) + tip) / 2 + (0, 0, 0.3 * width)
    return s.tube([root, middle, tip], [(0.012, 0.015), (0.012, width), (0.008, 0.01)], 8, 8, across=(0, 1, 0))


def skin(s: Sculptor) -> Pattern:
    hue = s.pick([0.0, 0.02, 0.08, 0.12, 0.17, 0.25, 0.33, 0.75, 0.95])
    first = hsv(hue + s.rng.normal(0, 0.015), s.uniform(0.75, 0.95), s.uniform(0.55, 0.95))
    second = hsv(hue + s.uniform(-0.1, 0.12), s.uniform(0.6, 0.95), s.uniform(0.5, 0.95))
    kinds = [
        solid(first),
        gradient(first, second),
        marble(s.rng, first, second, 0.8),
        stripes(s.rng, [first, shade(first, 0.6)], (1, 0.2, 0), 9, 0.03),
        spots(s.rng, solid(first), [second], 50, 0.04),
    ]
    return speckled(s.rng, kinds[s.pick([0, 0, 1, 2, 2, 3, 4])], 0.04)


def round_fruit(s: Sculptor) -> list[Part]:
    """Apples, pears, pumpkins, melons, oranges, with stem and leaf, whole."""
    dent, neck = s.uniform(0.0, 0.12), s.uniform(0.35, 0.9)
    tall = s.uniform(0.7, 1.3)
    profile = [
        (0, 0.03 + dent / 2),
        (0.2, 0),
        (0.42, 0.25 * tall),
        (0.5 * (0.6 + 0.4 * neck), 0.6 * tall),
        (0.4 * neck, 0.85 * tall),
        (0, 0.92 * tall - dent),
    ]
    body = s.lathe(profile, 30, 32)
    if s.chance(0.25):
        ribs, depth = s.count(6, 10), s.uniform(0.04, 0.1)
        angle = np.arctan2(body.vertices[:, 1], body.vertices[:, 0])
        body = body.scaled((1 - depth + depth * np.abs(np.cos(ribs * angle / 2)))[:, None] ** np.array((1, 1, 0)))
    top = np.array((0, 0, 0.9 * tall - dent))
    stem = s.tube(
        [
            top - (0, 0, 0.05),
            top + (0.02, 0, 0.1),
            top + (s.uniform(-0.1, 0.1), s.uniform(-0.1, 0.1), s.uniform(0.12, 0.3)),
        ],
        [0.022, 0.02, 0.028],
        8,
        7,
    )
    parts = [*painted([body], skin(s)), stem.coloured(STEM)]
    if s.chance(0.5):
        parts.append(
            leaf(s, top + (0, 0, 0.08), top + (s.uniform(0.15, 0.35), s.uniform(-0.2, 0.2), 0.16), 0.09).coloured(
                near(s.rng, [(0.25, 0.5, 0.15)])
            )
        )
    return parts


def banana(s: Sculptor) -> list[Part]:
    """One banana or a hand of them; sometimes half peeled."""
    ripe = near(s.rng, [(0.95, 0.8, 0.2), (0.9, 0.85, 0.35), (0.6, 0.7, 0.25)], 0.03)
    bend, radius = s.uniform(0.15, 0.4), s.uniform(0.08, 0.13)
    parts = []
    for k in range(s.pick([1, 1, 1, 2, 3, 4])):
        path = [(-0.5, 0, bend), (-0.25, 0, 0.06), (0.1, 0, 0), (0.4, 0, 0.5 * bend), (0.5, 0, bend)]
        fruit = s.tube(path, np.array([0.3, 0.9, 1, 0.65, 0.3]) * radius, 26, 12)
        pattern = speckled(s.rng, spots(s.rng, solid(ripe), [shade(ripe, 0.4)], s.count(0, 40) + 1, 0.02), 0.05)
        tips = [
            s.tube([path[-1], np.array(path[-1]) + (0.06, 0, 0.09)], [0.3 * radius, 0.25 * radius], 4, 8).coloured(
                (0.4, 0.4, 0.15)
            ),
            s.ball(path[0], 0.3 * radius, 8).coloured((0.2, 0.14, 0.08)),
        ]
        parts += [part.turned("x", -25 * k).turned("z", 8 * k) for part in [*painted([fruit], pattern), *tips]]
    if s.chance(0.35):
        cream = (0.96, 0.92, 0.75)
        parts = [
            s.tube([(0, 0, 0), (0.03, 0, 0.3), (0.1, 0, s.uniform(0.5, 0.7))], [0.11, 0.1, 0.06], 14, 12).coloured(
                cream
            )
        ]
        parts.append(
            *painted(
                [s.tube([(-0.05, 0, -0.35), (0, 0, -0.1), (0, 0, 0.12)], [0.04, 0.12, 0.125], 12, 12)], solid(ripe)
            )
        )
        for k in range(s.count(3, 4)):
            flap = s.tube(
                [(0.1, 0, 0.08), (0.28, 0, 0.12), (0.36, 0, s.uniform(-0.3, 0))],
                [(0.02, 0.1), (0.015, 0.08), (0.01, 0.03)],
                12,
                10,
            )
            parts.append(
                flap.turned("z", 115 * k + s.uniform(-15, 15)).coloured(ripe if s.chance(0.7) else shade(ripe, 1.4))
            )
    stand, turn = s.pick([0, 0, 90]) if len(parts) < 4 else 0, s.uniform(-180, 180)
    return [part.turned("y", stand).turned("z", turn) for part in parts]


def cherries(s: Sculptor) -> list[Part]:
    """A few small fruits hanging from joined stems, or a bunch of grapes."""
    if s.chance(0.3):
        colour, parts = hsv(s.pick([0.25, 0.8, 0.95]), 0.7, s.uniform(0.4, 0.8)), []
        for z in np.linspace(0, 0.8, 6):
            for k in range(1 + int(5 * z)):
                angle, reach = 2.4 * k + 6 * z, 0.34 * z * (0.4 + 0.6 * (k % 2))
                parts.append(
                    s.ball((reach * np.cos(angle), reach * np.sin(angle), z), 0.12, 10).coloured(
                        shade(colour, s.uniform(0.75, 1.15))
                    )
                )
        return [*parts, s.tube([(0, 0, 0.8), (0.03, 0, 1.1)], 0.025, 5, 7).coloured(STEM)]
    red = near(s.rng, [(0.75, 0.05, 0.08), (0.45, 0.03, 0.1), (0.9, 0.25, 0.12), (0.3, 0.1, 0.3)], 0.03)
    count, gap = s.pick([1, 2, 2, 2, 3]), s.uniform(0.2, 0.3)
    joint, parts = np.array((0, s.uniform(-0.1, 0.1), s.uniform(0.6, 0.95))), []
    for k in range(count):
        angle = 2 * np.pi * k / count + s.uniform(-0.3, 0.3)
        at = (
            np.array((0.3 * gap * np.cos(angle), gap * np.sin(angle + np.pi / 2), s.uniform(-0.06, 0.06)))
            if count > 1
            else np.zeros(3)
        )
        fruit = s.lathe([(0, -0.19), (0.12, -0.16), (0.2, 0), (0.13, 0.17), (0.03, 0.15), (0, 0.12)], 20, 22).moved(at)
        parts += painted([fruit], gradient(shade(red, 0.8), shade(red, 1.1)))
        parts.append(
            s.tube(
                [at + (0, 0, 0.1), (at + joint) / 2 + (0, 0.25 * at[1], 0.05), joint], [0.018, 0.016, 0.02], 12, 7
            ).coloured((0.45, 0.6, 0.15))
        )
    if s.chance(0.5):
        parts.append(
            leaf(s, joint, joint + (0.05, s.uniform(0.25, 0.4), 0.06), 0.1)
            .turned("z", s.uniform(0, 360))
            .coloured((0.22, 0.5, 0.15))
        )
    return parts


def mushroom(s: Sculptor) -> list[Part]:
    parts = []
    for k in range(s.pick([1, 1, 2, 3])):
        height, cap = s.uniform(0.3, 0.6), s.uniform(0.2, 0.42)
        offset = (0, 0, 0) if k == 0 else (s.uniform(-0.3, 0.3), s.uniform(-0.35, 0.35), 0)
        stalk = s.tube([(0, 0, 0), (0.02, 0, height / 2), (0, 0, height)], [0.11, 0.08, 0.07], 10, 12, 0.2)
        top = s.lathe(
            [
                (0.06, height - 0.02),
                (0.9 * cap, height - 0.06),
                (cap, height),
                (0.7 * cap, height + 0.6 * cap),
                (0, height + s.uniform(0.5, 1) * cap),
            ],
            22,
            26,
        )
        colour = vivid(s.rng)
        dots = spots(s.rng, solid(colour), [np.array((0.95, 0.93, 0.88))], s.count(1, 50), 0.07)
        parts += [part.moved(offset) for part in [stalk.coloured((0.93, 0.9, 0.82)), *painted([top], dots)]]
    return parts
