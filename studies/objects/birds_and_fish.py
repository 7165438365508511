"""Birds and fish, looking along +x."""

import numpy as np

from .patterns import (
    FUR,
    any_colour,
    countershade,
    hsv,
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


def bird(s: Sculptor) -> list[Part]:
    """Perched birds, from upright songbirds to ducks, with painted wings, sometimes spread."""
    pitch = s.uniform(5, 60)
    length, girth = s.uniform(0.32, 0.48), s.uniform(0.17, 0.26)
    size = s.uniform(0.11, 0.2)
    back, belly = (near(s.rng, FUR), near(s.rng, FUR)) if s.chance(0.4) else tuple(palette(s.rng, 2))
    body = s.tube(
        [(-length, 0, 0), (-length / 3, 0, 0.02), (length / 2, 0, 0.02), (length * 0.85, 0, 0.1)],
        np.array([(0.25, 0.3), (0.9, 0.85), (1, 0.95), (0.6, 0.6)]) * girth,
        18,
        18,
    )
    tail_end = (-length - s.uniform(0.15, 0.5), 0, s.uniform(-0.05, 0.1))
    tail_part = s.tube([(-length * 0.8, 0, 0.02), tail_end], [(0.05, 0.1), (0.02, s.uniform(0.05, 0.18))], 8, 10)
    body_parts = painted([body], countershade(s.rng, back, belly, s.uniform(-0.1, 0.08)))
    body_parts += painted([tail_part], solid(shade(back, s.uniform(0.5, 1))))
    wing_colours = [shade(back, 0.8), any_colour(s.rng), shade(back, 0.5)][: s.count(1, 3)]
    spread = s.chance(0.25)
    for side in (-1, 1):
        if spread:
            span = s.uniform(0.5, 0.8)
            path = [
                (0.1, side * 0.5 * girth, 0.1),
                (0.05, side * (girth + span / 2), 0.2),
                (-0.15, side * (girth + span), 0.15),
            ]
            wing = s.tube(path, [(0.15, 0.025), (0.18, 0.02), (0.04, 0.01)], 12, 10, across=(0, 0, 1))
        else:
            path = [
                (0.12, side * girth * 0.86, 0.05),
                (-0.12, side * girth * 0.97, 0.02),
                (-length * 1.15, side * girth * 0.35, 0),
            ]
            wing = s.tube(path, np.array([(0.3, 0.12), (0.65, 0.14), (0.12, 0.06)]) * girth, 12, 12, across=(0, 1, 0))
        body_parts += painted([wing], stripes(s.rng, wing_colours, (1, 0, 0.3), s.uniform(3, 7)))
    body_parts = [part.turned("y", -pitch) for part in body_parts]
    up = np.array((np.cos(np.deg2rad(pitch)), 0, np.sin(np.deg2rad(pitch))))
    at = up * (length * 0.9) + (0.03, 0, 0.12)
    ball, crown = s.ball(at, (size, 0.9 * size, 0.92 * size), 16), palette(s.rng, 2)
    cap = back if s.chance(0.5) else crown[0]
    parts = body_parts + painted(
        [ball], countershade(s.rng, cap, belly if s.chance(0.6) else crown[1], s.uniform(-0.15, 0.2))
    )
    beak = s.pick([0.08, 0.14, 0.3])
    beak_colour = near(s.rng, [(0.9, 0.6, 0.15), (0.2, 0.18, 0.16), (0.85, 0.35, 0.2), (0.55, 0.5, 0.45)])
    root = at + (0.8 * size, 0, -0.1 * size)
    parts.append(s.cone(root, root + (beak + 0.2 * size, 0, -0.03), np.array((0.3, 0.32)) * size).coloured(beak_colour))
    parts += s.eyes(
        at + (0.55 * size, 0, 0.25 * size), 0.66 * size, s.uniform(0.15, 0.24) * size, np.full(3, 0.05), s.chance(0.3)
    )
    if s.chance(0.3):
        parts.append(
            s.cone(at + (-0.2 * size, 0, 0.7 * size), at + (-size, 0, 1.5 * size), (0.2 * size, 0.12 * size)).coloured(
                crown[0]
            )
        )
    drop = s.uniform(0.08, 0.35)
    for side in (-1, 1):
        hip = np.array((-0.05, side * 0.4 * girth, -0.6 * girth))
        foot = hip + (0.05, 0, -drop - 0.4 * girth)
        parts.append(s.tube([hip, foot], [0.035, 0.018], 5, 7).coloured(beak_colour))
        for toe in (-0.05, 0, 0.05):
            parts.append(s.tube([foot, foot + (0.12, toe, -0.01)], [0.018, 0.01], 3, 6).coloured(beak_colour))
    return parts


def fish(s: Sculptor) -> list[Part]:
    """Swimming along +x, tall and flat or long and round, with fins."""
    length, height = s.uniform(0.4, 0.55), s.uniform(0.14, 0.32)
    width = height * s.uniform(0.4, 0.9)
    body = s.tube(
        [(-length, 0, 0), (-length / 2, 0, 0), (0.1, 0, 0), (length * 0.8, 0, 0)],
        [(0.25 * height, 0.25 * width), (0.75 * height, 0.75 * width), (height, width), (0.45 * height, 0.6 * width)],
        26,
        18,
    )
    colours = (
        palette(s.rng, 3)
        if s.chance(0.7)
        else [hsv(s.uniform(0.02, 0.12), 0.9, 0.95), np.full(3, 0.96), np.full(3, 0.06)]
    )
    styles = [
        stripes(s.rng, [colours[0], colours[0], colours[1]], (1, 0, 0), s.uniform(6, 10), 0.02),
        countershade(s.rng, colours[0], colours[1], s.uniform(-0.1, 0.05)),
        spots(s.rng, countershade(s.rng, colours[0], colours[1]), [colours[2]], s.count(30, 80), 0.05),
        stripes(s.rng, colours[:2], (0, 0, 1), s.uniform(8, 16), 0.01),
    ]
    parts = painted([body], styles[s.pick([0, 0, 1, 2, 3])])
    fork = s.uniform(0.12, 0.3)
    fins = [
        s.tube(
            [(-length - 0.02, 0, 0), (-length - 0.28, 0, side * fork)],
            [(0.06, 0.03), (s.uniform(0.06, 0.12), 0.01)],
            8,
            10,
        )
        for side in (-1, 1)
    ]
    fins.append(
        s.tube(
            [(0.25, 0, height * 0.8), (0, 0, height * 1.15), (-0.3, 0, height * 0.85)],
            [(0.05, 0.015), (s.uniform(0.06, 0.16), 0.015), (0.04, 0.01)],
            10,
            8,
        )
    )
    fins.append(s.tube([(0, 0, -height * 0.85), (-0.2, 0, -height * 1.2)], [(0.1, 0.015), (0.04, 0.01)], 6, 8))
    for side in (-1, 1):
        fins.append(
            s.tube(
                [(0.12, side * width * 0.85, -0.2 * height), (-0.1, side * (width + 0.15), -0.35 * height)],
                [(0.04, 0.015), (0.09, 0.01)],
                6,
                8,
            )
        )
    fin_colour = colours[2] if s.chance(0.5) else shade(colours[0], 0.75)
    parts += painted(fins, stripes(s.rng, [fin_colour, fin_colour, shade(fin_colour, 0.6)], (1, 0, 0), s.uniform(3, 8)))
    eye_x = length * s.uniform(0.62, 0.75)
    for side in (-1, 1):
        at = np.array((eye_x, side * width * 0.58, 0.3 * height))
        parts.append(s.ball(at, 0.16 * height + 0.01, 8).coloured((0.93, 0.93, 0.9)))
        parts.append(
            s.ball(at + (0.02, side * (0.08 * height + 0.006), 0), 0.11 * height + 0.008, 8).coloured(
                (0.05, 0.05, 0.05)
            )
        )
    parts.append(
        s.ball((length * 0.8 + 0.5 * height, 0, -0.08 * height), np.array((0.06, 0.2, 0.1)) * height, 8).coloured(
            shade(vivid(s.rng), 0.6)
        )
    )
    return parts
