"""Buildings; doors face +x."""

import numpy as np

from .patterns import (
    any_pattern,
    checks,
    painted,
    palette,
    shade,
    solid,
    speckled,
    stripes,
)
from .sculptor import Sculptor
from .shapes import Part


def house(s: Sculptor) -> list[Part]:
    """Houses with gable or pyramid roofs, door and windows, chimney; front to +x."""
    depth, width, height, roof = s.uniform(0.4, 0.7), s.uniform(0.45, 0.8), s.uniform(0.3, 0.6), s.uniform(0.2, 0.4)
    wall, tiles, door = palette(s.rng, 3)
    bricks = checks([wall, shade(wall, 0.85)], 8, 8) if s.chance(0.4) else speckled(s.rng, solid(wall))
    parts = painted([s.box((0, 0, height / 2), (depth, width, height), 8)], bricks)
    top = s.box((0, 0, height + roof / 2), (1.15 * depth, 1.12 * width, roof), 8, 0.0)
    if s.chance(0.6):
        ridge = s.pick([(0, 1), (1, 0)])
        base = s.box((0, 0, height + roof / 2), (1.15 * depth, 1.12 * width, roof), 8)
        keep = 1 - (base.vertices[:, 2:] - height) / roof
        top = base.scaled(
            np.concatenate(
                [
                    keep if ridge[1] else np.ones_like(keep),
                    np.ones_like(keep) if ridge[1] else keep,
                    np.ones_like(keep),
                ],
                axis=1,
            )
        )
    parts += painted([top], stripes(s.rng, [tiles, shade(tiles, 0.75)], (0, 0, 1), s.uniform(8, 16)))
    parts.append(s.box((depth / 2, s.uniform(-0.2, 0.2) * width, 0.11), (0.03, 0.12, 0.22), 3).coloured(door))
    for face in (1, -1):
        for y in (-0.3, 0.3):
            parts.append(
                s.box((face * depth / 2, y * width, 0.72 * height), (0.03, 0.13, 0.13), 3).coloured((0.55, 0.75, 0.88))
            )
        parts.append(s.box((0, face * width / 2, 0.6 * height), (0.13, 0.03, 0.13), 3).coloured((0.55, 0.75, 0.88)))
    if s.chance(0.5):
        parts.append(
            s.box((-0.1, 0.25 * width, height + 0.7 * roof), (0.1, 0.1, 0.6 * roof), 3).coloured((0.6, 0.3, 0.22))
        )
    return parts


def tower(s: Sculptor) -> list[Part]:
    """Castle towers, lighthouses and blocks of flats."""
    width, height, colours = s.uniform(0.15, 0.26), s.uniform(0.6, 0.8), palette(s.rng, 3)
    if s.chance(0.3):
        block = s.box((0, 0, 0.5), (s.uniform(0.3, 0.5), s.uniform(0.3, 0.5), 1.0), 12)
        return painted([block], checks([colours[0], colours[1]], s.count(4, 8), s.count(4, 8)))
    body = s.lathe([(0, 0), (width, 0), (s.uniform(0.6, 1) * width, height), (0, height)], 26, 26, False)
    parts = painted([body], any_pattern(s.rng, colours))
    if s.chance(0.5):
        parts.append(
            s.lathe([(0, height), (1.25 * width, height), (0, height + s.uniform(0.2, 0.4))], 12, 24, False).coloured(
                colours[2]
            )
        )
    else:
        parts.append(
            s.lathe(
                [(0, height), (1.15 * width, height), (1.15 * width, height + 0.08), (0, height + 0.08)], 10, 26, False
            ).coloured(colours[0])
        )
        for k in range(8):
            parts.append(
                s.box((1.05 * width, 0, height + 0.11), (0.06, 0.07, 0.08), 3).turned("z", 45 * k).coloured(colours[0])
            )
    return [*parts, s.box((width * 0.95, 0, 0.1), (0.06, 0.12, 0.2), 3).coloured(shade(colours[2], 0.5))]
