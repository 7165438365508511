"""Sitting and standing animals that face +x: cat statues, plush animals, owls and penguins, dragons."""

import numpy as np

from .animals import coat, head
from .patterns import (
    FUR,
    STONE,
    any_colour,
    any_pattern,
    badge,
    bands,
    marble,
    near,
    painted,
    palette,
    shade,
    solid,
    speckled,
    vivid,
)
from .sculptor import Sculptor
from .shapes import Part


def upright_body(s: Sculptor, height: float, width: float) -> Part:
    foot, waist, neck = s.uniform(0.7, 1.1), s.uniform(0.8, 1.15), s.uniform(0.4, 0.65)
    profile = [
        (0.0, 0.0),
        (foot * width, 0.02),
        (1.05 * width, 0.28 * height),
        (waist * width * 0.85, 0.65 * height),
        (neck * width, height),
        (0.0, 1.05 * height),
    ]
    return s.lathe(profile, 28, 28).scaled((s.uniform(0.8, 1.05), 1, 1))


def sitting_cat(s: Sculptor) -> list[Part]:
    """Cat, dog or fox sitting up, often with a ceramic statue's painted stripes."""
    height, width = s.uniform(0.5, 0.8), s.uniform(0.2, 0.3)
    size = s.uniform(0.17, 0.25)
    back, belly = (near(s.rng, FUR), near(s.rng, FUR)) if s.chance(0.55) else tuple(palette(s.rng, 2))
    head_coat, own = head(
        s,
        np.array((0.04, 0, height + 0.75 * size)),
        size,
        s.uniform(0.0, 0.1),
        s.pick(["pointed", "pointed", "pointed", "floppy", "round"]),
        s.uniform(-5, 10),
    )
    body = [upright_body(s, height, width)]
    for side in (-1, 1):
        y = side * 0.38 * width
        limb = [
            s.tube([(0.5 * width, y, 0.55 * height), (0.8 * width, y, 0.05)], [0.24 * width, 0.2 * width], 8, 10),
            s.ball((0.95 * width, y, 0.045), (0.09, 0.06, 0.05), 10),
            s.ball((0, side * 0.75 * width, 0.17 * height), np.array((0.75, 0.45, 0.75)) * width, 14),
        ]
        body += limb[: 3 if s.chance(0.7) else 0]
    side = s.pick([-1, 1])
    end = s.uniform(0.05, 0.75) * height
    tail = s.tube(
        [
            (-0.8 * width, 0, 0.06),
            (-width, side * width, 0.08),
            (-0.5 * width, side * 1.7 * width, 0.4 * end),
            (-0.3 * width, side * s.uniform(1.4, 2.0) * width, end),
        ],
        [0.05, 0.05, 0.045, 0.055],
        22,
        10,
    )
    if s.chance(0.4):
        colours = palette(s.rng, s.count(3, 6))
        body_parts = painted(body, bands(colours, s.count(6, 18), 0)) + painted([tail], bands(colours, s.count(4, 9)))
        return body_parts + painted(head_coat, solid(colours[0])) + own
    pattern = coat(s, back, belly)
    if s.chance(0.5):
        pattern = badge(pattern, belly, (0, -0.1), (0.12, 0.22))
    return painted([*body, tail, *head_coat], pattern) + own


def teddy(s: Sculptor) -> list[Part]:
    """Sitting or standing plush animals: big head, round ears, belly patch, stubby limbs."""
    fur = near(s.rng, FUR) if s.chance(0.65) else any_colour(s.rng)
    light = shade(fur, s.uniform(1.4, 1.8)) if s.chance(0.7) else any_colour(s.rng)
    size, width, height = s.uniform(0.2, 0.28), s.uniform(0.19, 0.27), s.uniform(0.24, 0.34)
    body = s.ball((0, 0, height), (0.85 * width, width, height), 24)
    centre = np.array((0.03, 0, 2 * height + 0.62 * size))
    skin = [s.ball(centre, (0.92 * size, size, 0.92 * size), 22)]
    muzzle_at = centre + (0.8 * size, 0, -0.22 * size)
    own = [
        s.ball(muzzle_at, np.array((0.38, 0.45, 0.36)) * size, 14).coloured(light),
        s.ball(muzzle_at + (0.34 * size, 0, 0.14 * size), np.array((0.12, 0.17, 0.12)) * size, 8).coloured(
            (0.08, 0.06, 0.06)
        ),
        *s.eyes(centre + (0.8 * size, 0, 0.2 * size), 0.36 * size, 0.1 * size + 0.008, np.full(3, 0.05), s.chance(0.2)),
    ]
    long_ears, sitting = s.chance(0.25), s.chance(0.7)
    for side in (-1, 1):
        root = centre + (0, side * 0.66 * size, 0.68 * size)
        tall = s.uniform(1.0, 1.6) * size if long_ears else 0.36 * size
        lift = (0, 0, 0.7 * tall if long_ears else 0)
        skin.append(s.ball(root + lift, (0.16 * size, 0.3 * size if long_ears else 0.36 * size, tall), 12))
        own.append(
            s.ball(root + lift + np.array((0.09 * size, 0, 0)), (0.12 * size, 0.2 * size, 0.65 * tall), 10).coloured(
                light
            )
        )
        hand = np.array((s.uniform(-0.05, 0.3), side * (width + s.uniform(0.06, 0.2)), height * s.uniform(0.5, 1.8)))
        skin.append(s.tube([(0, side * 0.75 * width, 1.55 * height), hand], [0.09, 0.08], 8, 10))
        foot = np.array(
            (0.8 * width + 0.12, side * 0.75 * width, 0.09) if sitting else (0.05, side * 0.5 * width, -0.25)
        )
        skin.append(s.tube([(0.1, side * 0.5 * width, 0.12), foot], [0.1, 0.095], 8, 10))
        sole = foot + ((0.07, 0, 0.01) if sitting else (0.05, 0, -0.06))
        own.append(s.ball(sole, (0.05, 0.075, 0.085) if sitting else (0.11, 0.08, 0.06), 10).coloured(light))
    if s.chance(0.6):
        own.append(
            s.ball((0.4 * width, 0, height * 0.95), (0.5 * width, 0.62 * width, 0.65 * height), 16).coloured(light)
        )
    if s.chance(0.35):
        bow = vivid(s.rng)
        own.append(s.ring((0.02, 0, 2 * height - 0.02), 0.5 * size, 0.045, 20, 8).coloured(bow))
    dressed = s.chance(0.3)
    parts = painted(skin if dressed else [body, *skin], speckled(s.rng, solid(fur), 0.08, 7)) + own
    return parts + (painted([body], any_pattern(s.rng)) if dressed else [])


def owl_or_penguin(s: Sculptor) -> list[Part]:
    height, width = s.uniform(0.7, 0.9), s.uniform(0.24, 0.36)
    back, belly = palette(s.rng, 2) if s.chance(0.5) else (near(s.rng, [(0.1, 0.1, 0.13), *FUR]), np.full(3, 0.93))
    body = s.lathe(
        [(0, 0), (0.8 * width, 0.02), (width, 0.35 * height), (0.8 * width, 0.75 * height), (0, height)], 28, 28
    )
    pattern = badge(solid(back), belly, (0, s.uniform(-0.15, -0.05)), (s.uniform(0.15, 0.25), s.uniform(0.25, 0.33)))
    parts = painted([body], pattern)
    for side in (-1, 1):
        wing = s.tube(
            [(0, side * 0.85 * width, 0.65 * height), (0.02, side * (width + s.uniform(0.03, 0.25)), 0.2 * height)],
            [(0.06, 0.03), (0.09, 0.03)],
            8,
            10,
        )
        parts += [
            wing.coloured(shade(back, 0.75)),
            s.ball((0.75 * width, side * 0.4 * width, 0.02), (0.12, 0.09, 0.04), 10).coloured((0.9, 0.55, 0.12)),
        ]
        eye = np.array((0.62 * width, side * 0.33 * width, 0.8 * height))
        big = s.uniform(0.05, 0.1)
        parts += [
            s.ball(eye, (0.05, big, big), 12).coloured((0.95, 0.93, 0.8)),
            s.ball(eye + (0.03, 0, 0), 0.035, 8).coloured((0.05, 0.05, 0.05)),
        ]
    beak = (0.6 * width, 0, 0.72 * height)
    return [*parts, s.cone(beak, np.array(beak) + (0.3 * width + 0.05, 0, -0.04), 0.05).coloured((0.92, 0.6, 0.15))]


def dragon(s: Sculptor) -> list[Part]:
    """Sitting dragon with wings, spikes and a coiled tail, in stone, metal or colours."""
    width, height = s.uniform(0.16, 0.22), s.uniform(0.4, 0.55)
    lean = s.uniform(0.05, 0.25)
    spine = np.array(
        [(-0.1, 0, 0.1), (-0.05, 0, 0.5 * height), (0.02, 0, height), (0.0, 0, height + 0.2), (lean, 0, height + 0.38)]
    )
    body = s.tube(spine, [width, 1.1 * width, 0.75 * width, 0.45 * width, 0.38 * width], 24, 16)
    head_at = spine[-1] + (0.08, 0, 0.03)
    stone = [
        body,
        s.ball(head_at, (0.13, 0.085, 0.08), 14),
        s.tube([head_at, head_at + (0.2, 0, -0.05)], [0.07, 0.045], 6, 10),
    ]
    if s.chance(0.5):
        stone.append(s.tube([head_at + (0, 0, -0.04), head_at + (0.16, 0, -0.13)], [0.05, 0.03], 5, 8))
    span, lift = s.uniform(0.3, 0.6), s.uniform(0.1, 0.45)
    for side in (-1, 1):
        stone.append(s.cone(head_at + (-0.06, side * 0.05, 0.05), head_at + (-0.24, side * 0.09, 0.16), 0.03, 8))
        root = np.array((-0.08, side * 0.6 * width, height * 0.95))
        tip = root + (-0.3, side * span, lift)
        stone.append(s.tube([root, (root + tip) / 2 + (0, 0, 0.12), tip], [0.03, 0.03, 0.015], 8, 8))
        stone.append(
            s.tube(
                [root + (-0.08, 0, -0.12), (root + tip) / 2 + (-0.08, 0, -0.08), tip + (0, 0, -0.08)],
                [(0.12, 0.015), (0.2, 0.012), (0.06, 0.01)],
                12,
                10,
                across=(1, side * 0.6, 0),
            )
        )
        stone.append(s.ball((0.02, side * width, 0.14), (0.2, 0.1, 0.16), 14))
        stone.append(s.ball((0.22, side * width, 0.04), (0.12, 0.06, 0.045), 10))
        stone.append(
            s.tube(
                [(0.08, side * 0.7 * width, 0.8 * height), (0.28, side * 0.8 * width, s.uniform(0.05, 0.5))],
                [0.06, 0.045],
                8,
                8,
            )
        )
    turn = s.pick([-1, 1])
    stone.append(
        s.tube(
            [(-0.2, 0, 0.08), (-0.35, turn * 0.2, 0.06), (-0.15, turn * 0.45, 0.05), (0.2, turn * 0.4, 0.05)],
            [0.12, 0.09, 0.06, 0.015],
            18,
            9,
        )
    )
    for k in range(s.count(4, 8)):
        at = spine[0] + (spine[3] - spine[0]) * k / 7 + (-width, 0, 0)
        stone.append(s.cone(at, at + (-0.09, 0, 0.04), (0.04, 0.02), 6))
    first = near(s.rng, STONE) if s.chance(0.65) else any_colour(s.rng)
    pattern = speckled(s.rng, marble(s.rng, shade(first, 0.75), shade(first, 1.2), s.uniform(2, 5)), 0.08, 9)
    own = s.eyes(head_at + (0.07, 0, 0.04), 0.07, 0.02, np.full(3, 0.1), False)
    if s.chance(0.4):
        pattern = badge(pattern, shade(first, 1.4), (0, -0.1), (0.1, 0.25))
    return painted(stone, pattern) + own
