"""Free compositions of primitives: what no other grammar foresees."""

import numpy as np

from .patterns import any_colour, any_pattern, near, painted, palette, solid
from .sculptor import Sculptor
from .shapes import Part


def some_part(s: Sculptor, size: float) -> Part:
    """One random primitive of about the given radius, at the origin."""
    radii = size * s.rng.uniform(0.35, 1.1, 3)
    kind = s.count(0, 5)
    if kind == 0:
        return s.ball((0, 0, 0), radii, 20, (s.pick([1, 1, 0.4, 1.6]), s.pick([1, 1, 0.4, 1.6])))
    if kind == 1:
        return s.box((0, 0, 0), 1.7 * radii, 6, s.pick([1, 1, 0.6, 0.3]))
    if kind == 2:
        path = np.cumsum(s.rng.normal(0, 0.7 * size, (s.count(2, 5), 3)), axis=0)
        return s.tube(path - path.mean(axis=0), s.rng.uniform(0.1, 0.4, (len(path), 2)) * size, 22, 12)
    if kind == 3:
        z = np.linspace(-1, 1, s.count(3, 6)) * size
        profile = [(0, z[0]), *zip(s.rng.uniform(0.2, 1, len(z)) * size, z, strict=True), (0, z[-1])]
        return s.lathe(profile, 26, 24, s.chance(0.6))
    if kind == 4:
        return s.ring((0, 0, 0), 0.75 * size, s.uniform(0.12, 0.3) * size, 30, 12)
    return s.tube(
        [(0, 0, -size), (0, 0, size)],
        [s.rng.uniform(0.2, 0.7, 2) * size, s.rng.uniform(0.02, 0.7, 2) * size],
        14,
        s.pick([4, 6, 18]),
        0.1,
    )


def sculpture(s: Sculptor) -> list[Part]:
    """Primitives grown from a core; symmetric about the xz plane half of the time."""
    symmetric, parts = s.chance(0.5), []
    colours = palette(s.rng, 4)
    core = some_part(s, 0.35).turned("x", s.pick([0, 90])).turned("y", s.pick([0, 90]))
    parts += painted([core], any_pattern(s.rng, colours))
    for _ in range(s.count(1, 6)):
        host = core.vertices[s.count(0, len(core.vertices) - 1)]
        part = some_part(s, s.uniform(0.07, 0.25))
        if s.chance(0.5):
            part = part.turned("x", s.uniform(0, 360)).turned("z", s.uniform(0, 360))
        part = part.moved(host * s.uniform(0.8, 1.1))
        part = painted([part], any_pattern(s.rng, colours) if s.chance(0.4) else solid(s.pick(colours)))[0]
        parts += [part, part.mirrored()] if symmetric else [part]
    return parts


def creature(s: Sculptor) -> list[Part]:
    """An invented animal: any body, legs by the pair, a face in front."""
    colours = [any_colour(s.rng), near(s.rng, [(0.95, 0.92, 0.85), (0.2, 0.2, 0.25)]), *palette(s.rng, 2)]
    length, wide, tall = s.rng.uniform(0.18, 0.45, 3)
    leg = s.uniform(0.05, 0.3)
    z = leg + tall
    body = [s.ball((0, 0, z), (length, wide, tall), 24, (s.pick([1, 1, 0.6]), s.pick([1, 1, 0.6])))]
    big = s.uniform(0.12, 0.28)
    neck = s.uniform(0, 0.25)
    at = np.array((0.8 * length + 0.4 * big, 0, z + 0.5 * tall + neck))
    body += [
        s.ball(at, np.array((1, s.uniform(0.8, 1.2), s.uniform(0.8, 1.2))) * big, 18),
        s.tube([(0.5 * length, 0, z), at], 0.5 * min(big, tall), 6, 10),
    ]
    parts = painted(body, any_pattern(s.rng, colours))
    pairs = s.count(1, 4)
    for k in range(pairs):
        x = length * (0.6 - 1.2 * (k + 0.5) / pairs)
        for side in (-1, 1):
            parts.append(
                s.tube(
                    [
                        (x, side * 0.6 * wide, z - 0.3 * tall),
                        (x + 0.03, side * (0.8 * wide + 0.05), 0.4 * leg),
                        (x + 0.06, side * (0.7 * wide + 0.05), 0.03),
                    ],
                    [0.06, 0.045, 0.05],
                    8,
                    8,
                ).coloured(colours[0])
            )
    parts += s.eyes(
        at + (0.75 * big, 0, 0.35 * big),
        s.uniform(0.3, 0.55) * big,
        s.uniform(0.12, 0.26) * big,
        np.full(3, 0.05),
        s.chance(0.7),
    )
    if s.chance(0.6):
        parts.append(s.ball(at + (big, 0, -0.05 * big), np.array((0.25, 0.35, 0.25)) * big, 12).coloured(colours[2]))
    parts.append(
        s.ball(at + (0.85 * big, 0, -0.45 * big), np.array((0.12, 0.4, 0.08)) * big, 8).coloured((0.6, 0.15, 0.15))
    )
    for side in (-1, 1):
        tip = at + (s.uniform(-0.1, 0.05), side * s.uniform(0.05, 0.25), big + s.uniform(0.05, 0.3))
        parts.append(
            s.tube([at + (0, side * 0.4 * big, 0.7 * big), tip], [0.05, s.uniform(0.01, 0.07)], 6, 8).coloured(
                colours[3]
            )
        )
    if s.chance(0.6):
        parts.append(
            s.tube(
                [
                    (-0.9 * length, 0, z),
                    (-length - 0.2, s.uniform(-0.1, 0.1), z + s.uniform(-0.1, 0.3)),
                    (-length - 0.3, 0, z + s.uniform(-0.1, 0.4)),
                ],
                [0.08, 0.05, 0.02],
                12,
                8,
            ).coloured(colours[0])
        )
    return parts
