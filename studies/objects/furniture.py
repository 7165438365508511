"""Furniture; fronts face +x."""

import numpy as np

from .patterns import (
    WOOD,
    any_colour,
    any_pattern,
    near,
    painted,
    palette,
    shade,
    solid,
    speckled,
)
from .sculptor import Sculptor
from .shapes import Part
from .vessels import bowl, mug, teapot, vase, vessel_profile


def chair(s: Sculptor) -> list[Part]:
    seat, depth, width, back = s.uniform(0.35, 0.5), s.uniform(0.38, 0.5), s.uniform(0.38, 0.55), s.uniform(0.35, 0.6)
    wood, cushion = near(s.rng, WOOD) if s.chance(0.6) else any_colour(s.rng), any_colour(s.rng)
    thick = s.uniform(0.025, 0.05)
    frame = []
    for x in (-1, 1):
        for y in (-1, 1):
            at = np.array((x * (depth / 2 - thick), y * (width / 2 - thick), 0))
            frame.append(
                s.tube([at * (1.1, 1.1, 1), at + (0, 0, seat)], thick * 0.8, 4, 8, 0.1)
                if s.chance(0.5)
                else s.box(at + (0, 0, seat / 2), (1.5 * thick, 1.5 * thick, seat), 3)
            )
    if s.chance(0.2):
        frame = [
            s.tube([(0, 0, 0.02), (0, 0, seat)], thick, 4, 10, 0.1),
            s.lathe([(0, 0), (0.5 * depth, 0), (0.45 * depth, 0.03), (0, 0.05)], 8, 20),
        ]
    soft = [
        s.box((0, 0, seat), (depth, width, 2 * thick), 4)
        if s.chance(0.6)
        else s.ball((0, 0, seat), (0.55 * depth, 0.55 * width, 1.8 * thick), 18, (0.5, 0.6))
    ]
    style = s.count(0, 3)
    if style == 0:
        soft.append(s.box((-depth / 2, 0, seat + back / 2), (1.5 * thick, width, back), 5))
    elif style == 1:
        for y in np.linspace(-0.45, 0.45, s.count(3, 7)):
            frame.append(
                s.tube([(-depth / 2, y * width, seat), (-depth / 2 - 0.06, y * width, seat + back)], 0.5 * thick, 4, 7)
            )
        frame.append(s.box((-depth / 2 - 0.06, 0, seat + back), (1.3 * thick, width, 3 * thick), 3))
    elif style == 2:
        soft.append(s.ball((-depth / 2, 0, seat + 0.55 * back), (0.06, 0.55 * width, 0.55 * back), 18, (0.6, 0.7)))
    if s.chance(0.4) and style != 3:
        for y in (-1, 1):
            frame.append(s.box((0, y * width / 2, seat + 0.22), (depth, 1.5 * thick, 1.2 * thick), 3))
            frame.append(s.box((0.4 * depth, y * width / 2, seat + 0.11), (1.3 * thick, 1.3 * thick, 0.22), 3))
    return painted(frame, solid(wood)) + painted(
        soft, any_pattern(s.rng, [cushion, any_colour(s.rng)]) if s.chance(0.4) else solid(cushion)
    )


def sofa(s: Sculptor) -> list[Part]:
    width, depth, back = s.uniform(0.5, 1.0), s.uniform(0.4, 0.5), s.uniform(0.25, 0.45)
    colour, other = palette(s.rng, 2)
    power = (0.4, 0.4)
    parts = [
        s.ball((0, 0, 0.18), (depth / 2, width / 2, 0.13), 24, power),
        s.ball((-depth / 2, 0, 0.2 + back / 2), (0.1, width / 2, 0.1 + back / 2), 24, power),
    ]
    for side in (-1, 1):
        parts.append(s.ball((0, side * width / 2, 0.25), (depth / 2, 0.08, 0.2), 20, power))
    pattern = any_pattern(s.rng, [colour, other]) if s.chance(0.4) else solid(colour)
    parts = painted(parts, pattern)
    for _ in range(s.count(0, 2)):
        parts.append(
            s.ball((-0.05, s.uniform(-0.3, 0.3) * width, 0.38), (0.05, 0.13, 0.12), 14, (0.6, 0.6))
            .turned("y", -20)
            .coloured(other)
        )
    return parts


def table(s: Sculptor) -> list[Part]:
    height, depth, width = s.uniform(0.3, 0.6), s.uniform(0.35, 0.7), s.uniform(0.5, 1.0)
    wood = near(s.rng, WOOD) if s.chance(0.7) else any_colour(s.rng)
    thick = s.uniform(0.03, 0.06)
    if s.chance(0.4):
        top = s.lathe(
            [(0, height), (width / 2, height), (width / 2, height + thick), (0, height + thick)], 14, 32, False
        )
        legs = [s.lathe([(0, 0), (0.22 * width, 0), (0.05, 0.08), (0.05, height), (0, height)], 18, 16, False)]
    else:
        top = s.box((0, 0, height), (depth, width, thick), 8)
        legs = [
            s.box((x * (depth / 2 - thick), y * (width / 2 - thick), height / 2), (thick, thick, height), 3)
            for x in (-1, 1)
            for y in (-1, 1)
        ]
        if s.chance(0.4):
            legs.append(s.box((0, width / 4, height * 0.7), (0.9 * depth, width / 2.4, 0.5 * height), 4))
    parts = painted([top], any_pattern(s.rng, [wood, shade(wood, 0.7)])) + painted(legs, solid(shade(wood, 0.85)))
    if s.chance(0.4):
        parts += [
            part.scaled(0.3).moved((0, s.uniform(-0.2, 0.2) * width, height + thick))
            for part in s.pick([vase, mug, bowl, teapot])(s)
        ]
    return parts


def cabinet(s: Sculptor) -> list[Part]:
    """Boxes with a worked front: cupboard, stove, television, radio."""
    depth, width, height = s.uniform(0.2, 0.5), s.uniform(0.4, 0.9), s.uniform(0.4, 1.0)
    body, front, detail = palette(s.rng, 3)
    if s.chance(0.5):
        body = near(s.rng, WOOD)
    parts = painted([s.box((0, 0, height / 2), (depth, width, height), 6)], speckled(s.rng, solid(body)))
    rows, columns = s.count(1, 3), s.count(1, 3)
    for i in range(rows):
        for j in range(columns):
            at = np.array((depth / 2, width * ((j + 0.5) / columns - 0.5), height * (i + 0.5) / rows))
            parts.append(s.box(at, (0.03, 0.82 * width / columns, 0.8 * height / rows), 3).coloured(front))
            parts.append(
                (
                    s.ball(at + (0.03, 0.25 * width / columns, 0), 0.025, 8)
                    if s.chance(0.6)
                    else s.ring((0, 0, 0), 0.06, 0.015, 16, 6).turned("y", 90).moved(at + (0.03, 0, 0))
                ).coloured(detail)
            )
    return parts


def lamp(s: Sculptor) -> list[Part]:
    height, width, tall = s.uniform(0.4, 0.7), s.uniform(0.2, 0.36), s.uniform(0.2, 0.4)
    base, shade_colour, other = palette(s.rng, 3)
    stand = (
        s.lathe(vessel_profile(s, height, s.uniform(0.08, 0.22), False), 30, 22)
        if s.chance(0.6)
        else s.lathe([(0, 0), (0.2, 0), (0.2, 0.04), (0.025, 0.07), (0.025, height), (0, height)], 18, 18, False)
    )
    hat = s.lathe(
        [(0, height), (width, height), (s.uniform(0.3, 1) * width, height + tall), (0, height + tall)], 18, 28, False
    )
    return painted([stand], any_pattern(s.rng, [base, other])) + painted(
        [hat], any_pattern(s.rng, [shade_colour, other]) if s.chance(0.5) else solid(shade_colour)
    )
