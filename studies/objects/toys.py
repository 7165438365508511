"""Toys: robots, stacks, balls, dice and spinning tops."""

import numpy as np

from .patterns import any_pattern, bands, painted, palette, vivid
from .sculptor import Sculptor
from .shapes import Part


def robot(s: Sculptor) -> list[Part]:
    metal, other, light = palette(s.rng, 3)
    wide, tall, size = s.uniform(0.16, 0.26), s.uniform(0.25, 0.4), s.uniform(0.1, 0.17)
    leg = s.uniform(0.15, 0.35)
    centre = leg + tall / 2
    body = (
        s.box((0, 0, centre), (1.3 * wide, 2 * wide, tall), 8)
        if s.chance(0.6)
        else s.ball((0, 0, centre), (wide, wide, tall / 2), 20, (0.4, 0.5))
    )
    head_z = leg + tall + size + 0.03
    head = (
        s.box((0, 0, head_z), (1.6 * size, 2 * size, 1.7 * size), 5)
        if s.chance(0.6)
        else s.ball((0, 0, head_z), size, 18)
    )
    parts = painted([body], any_pattern(s.rng, [metal, other])) + [head.coloured(other if s.chance(0.5) else metal)]
    parts += s.eyes((0.8 * size, 0, head_z + 0.2 * size), 0.45 * size, 0.24 * size, light, s.chance(0.5))
    parts.append(s.box((0.8 * size, 0, head_z - 0.4 * size), (0.05, size, 0.15 * size), 3).coloured(light))
    parts.append(s.box((0.66 * wide, 0, centre + 0.05), (0.04, wide, 0.4 * tall), 4).coloured(light))
    for side in (-1, 1):
        parts.append(
            s.tube([(0, side * 0.5 * wide, leg + 0.03), (0, side * 0.55 * wide, 0.06)], 0.06, 6, 10).coloured(other)
        )
        parts.append(s.box((0.04, side * 0.55 * wide, 0.03), (0.2, 0.13, 0.07), 3).coloured(metal))
        shoulder = np.array((0, side * 1.05 * wide, leg + 0.85 * tall))
        hand = shoulder + (s.uniform(-0.1, 0.25), side * s.uniform(0.05, 0.25), s.uniform(-0.3, 0.25))
        parts += [
            s.tube([shoulder, (shoulder + hand) / 2 + (0, side * 0.05, 0), hand], 0.045, 8, 9).coloured(other),
            s.ball(hand, 0.07, 10).coloured(metal),
        ]
    if s.chance(0.6):
        parts += [
            s.tube([(0, 0, head_z + 0.6 * size), (0, 0, head_z + size + 0.12)], 0.014, 4, 6).coloured(metal),
            s.ball((0, 0, head_z + size + 0.14), 0.035, 8).coloured(vivid(s.rng)),
        ]
    return parts


def blocks(s: Sculptor) -> list[Part]:
    """A child's stack of bricks, rings or balls."""
    parts, z = [], 0.0
    for _ in range(s.count(2, 5)):
        height, wide = s.uniform(0.12, 0.3), s.uniform(0.12, 0.3)
        shift = np.array((s.uniform(-0.06, 0.06), s.uniform(-0.06, 0.06), z + height / 2))
        kind = s.count(0, 4)
        if kind == 0:
            block = s.box((0, 0, 0), (2 * wide, s.uniform(1, 2) * wide, height), 8)
        elif kind == 1:
            block = s.lathe([(0, -height / 2), (wide, -height / 2), (wide, height / 2), (0, height / 2)], 18, 26, False)
        elif kind == 2:
            block = s.ball((0, 0, 0), (wide, wide, height / 2), 22)
        elif kind == 3:
            block = s.ring((0, 0, 0), wide, height / 2, 28, 14)
        else:
            block = s.lathe([(0, -height / 2), (wide, -height / 2), (0, height / 2)], 18, 26, False)
        parts += [part.turned("z", s.uniform(0, 90)).moved(shift) for part in painted([block], any_pattern(s.rng))]
        z += 0.97 * height
    return parts


def ball_toy(s: Sculptor) -> list[Part]:
    """A ball, dice, egg or spinning top."""
    kind = s.count(0, 3)
    if kind == 0:
        return painted([s.ball((0, 0, 0), (0.5, 0.5, s.uniform(0.45, 0.7)), 36)], any_pattern(s.rng))
    if kind == 1:
        colours = palette(s.rng, 2)
        parts = [s.ball((0, 0, 0), 0.45, 28, (0.2, 0.2)).coloured(colours[0])]
        for axis, turn in (("z", 0), ("z", 90), ("z", 180), ("z", 270), ("y", 90), ("y", -90)):
            for _ in range(s.count(1, 5)):
                spot = s.ball((0.45, s.uniform(-0.25, 0.25), s.uniform(-0.25, 0.25)), (0.02, 0.07, 0.07), 8)
                parts.append(spot.turned(axis, turn).coloured(colours[1]))
        return parts
    if kind == 2:
        top = s.lathe(
            [(0, 0), (0.02, 0), (0.4, 0.4), (0.38, 0.5), (0.05, 0.6), (0.04, 0.85), (0, 0.86)], 34, 30, s.chance(0.5)
        )
        return painted([top], bands(palette(s.rng, 4), s.count(4, 12), s.count(0, 1)))
    return painted(
        [s.ring((0, 0, 0), 0.36, s.uniform(0.07, 0.15), 48, 16).turned("y", s.pick([0, 90]))],
        bands(palette(s.rng, 3), s.count(4, 12), 0),
    )
