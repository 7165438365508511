"""Four-legged animals, looking along +x; their coats and heads serve other grammars too."""

import numpy as np

from .patterns import (
    FUR,
    Pattern,
    any_colour,
    countershade,
    near,
    painted,
    patches,
    shade,
    solid,
    speckled,
    spots,
    stripes,
)
from .sculptor import Sculptor
from .shapes import Part

# leg length, girth, neck length, neck angle (degrees), head size, muzzle length, ears, tail
SPECIES = {
    "cat": (0.32, 0.17, 0.12, 50, 0.17, 0.07, "pointed", "long"),
    "dog": (0.40, 0.18, 0.18, 50, 0.16, 0.17, "floppy", "long"),
    "fox": (0.33, 0.15, 0.15, 45, 0.14, 0.18, "pointed", "bushy"),
    "horse": (0.62, 0.20, 0.42, 55, 0.12, 0.27, "pointed", "bushy"),
    "cow": (0.42, 0.26, 0.16, 30, 0.16, 0.20, "horned", "thin"),
    "pig": (0.22, 0.26, 0.05, 20, 0.18, 0.12, "floppy", "thin"),
    "sheep": (0.28, 0.27, 0.12, 40, 0.13, 0.13, "floppy", "stub"),
    "elephant": (0.42, 0.32, 0.10, 30, 0.22, 0.50, "large", "thin"),
    "giraffe": (0.70, 0.19, 0.75, 68, 0.11, 0.18, "horned", "thin"),
    "bear": (0.34, 0.27, 0.12, 25, 0.20, 0.14, "round", "stub"),
    "lizard": (0.14, 0.14, 0.12, 15, 0.13, 0.16, "none", "thick"),
    "dinosaur": (0.45, 0.26, 0.50, 45, 0.14, 0.15, "none", "thick"),
}


def coat(s: Sculptor, back: np.ndarray, belly: np.ndarray) -> Pattern:
    kind = s.count(0, 6)
    base = countershade(s.rng, back, belly, s.uniform(-0.35, -0.1))
    if kind == 0:
        return solid(back)
    if kind == 1:
        return stripes(s.rng, [back, back, shade(back, 0.45)], (1, 0, 0.2), s.uniform(14, 26), 0.02)
    if kind == 2:
        return spots(s.rng, base, [shade(back, 0.4), belly], s.count(60, 160), s.uniform(0.03, 0.06))
    if kind == 3:
        return patches(s.rng, [back, belly, back], s.count(14, 40))
    return speckled(s.rng, base, 0.1)


def head(s: Sculptor, at: np.ndarray, size: float, muzzle: float, ears: str, tilt_deg: float) -> tuple[list, list]:
    """(parts in the coat's colours, parts with their own) of a head that looks along +x, tilted downwards."""
    coat_parts = [s.ball(at, (size, 0.86 * size, 0.92 * size), 16)]
    nose_at = at + (0.75 * size + muzzle, 0, -0.25 * size)
    wide = s.uniform(0.38, 0.55) * size
    coat_parts.append(s.tube([at + (0.3 * size, 0, -0.2 * size), nose_at], [1.3 * wide, wide], 8, 10))
    own = [
        s.ball(nose_at + (wide * 0.8, 0, 0.3 * wide), (0.4 * wide, 0.5 * wide, 0.4 * wide), 8).coloured(
            (0.1, 0.08, 0.08) if s.chance(0.7) else (0.8, 0.5, 0.5)
        )
    ]
    own += s.eyes(
        at + (0.74 * size, 0, 0.3 * size), 0.48 * size, s.uniform(0.13, 0.2) * size, np.full(3, 0.06), s.chance(0.4)
    )
    for side in (-1, 1):
        root = at + (-0.1 * size, side * 0.55 * size, 0.6 * size)
        if ears == "pointed":
            coat_parts.append(s.cone(root, root + (0, side * 0.15 * size, 0.9 * size), (0.2 * size, 0.36 * size)))
        elif ears == "floppy":
            coat_parts.append(
                s.tube(
                    [
                        root,
                        root + (0, side * 0.5 * size, -0.1 * size),
                        root + (0.1 * size, side * 0.6 * size, -0.9 * size),
                    ],
                    [(0.15 * size, 0.3 * size)] * 3,
                    8,
                    8,
                )
            )
        elif ears == "round":
            coat_parts.append(
                s.ball(root + (0, side * 0.15 * size, 0.15 * size), np.array((0.2, 0.36, 0.36)) * size, 10)
            )
        elif ears == "large":
            coat_parts.append(
                s.ball(root + (-0.1 * size, side * 0.7 * size, -0.6 * size), np.array((0.12, 0.8, 1.0)) * size)
            )
        elif ears == "horned":
            coat_parts.append(s.cone(root, root + (0, side * 0.7 * size, -0.1 * size), (0.15 * size, 0.25 * size), 8))
            own.append(
                s.tube(
                    [
                        root + (0, -side * 0.1 * size, 0),
                        root + (0, side * 0.35 * size, 0.5 * size),
                        root + (0.2 * size, side * 0.3 * size, 1.0 * size),
                    ],
                    [0.13 * size, 0.1 * size, 0.03 * size],
                    8,
                    8,
                ).coloured((0.88, 0.83, 0.7))
            )
    return [part.turned("y", tilt_deg, at) for part in coat_parts], [part.turned("y", tilt_deg, at) for part in own]


def tail(s: Sculptor, kind: str, root: np.ndarray, girth: float) -> Part:
    lift, sway = s.uniform(-0.4, 0.5), s.uniform(-0.15, 0.15)
    if kind == "stub":
        return s.ball(root, 0.35 * girth, 10)
    if kind == "thick":
        path = [
            root + (0.3 * girth, 0, -0.2 * girth),
            root + (-0.35, sway, -0.25 * girth),
            root + (-0.75, 2 * sway, -0.3 * girth),
        ]
        return s.tube(path, [0.75 * girth, 0.4 * girth, 0.04], 14, 10)
    if kind == "bushy":
        path = [root, root + (-0.2, sway / 2, 0.02 + 0.2 * lift), root + (-0.3, sway, -0.45 + 0.6 * max(lift, 0))]
        return s.tube(path, [0.03, 0.085, 0.03], 12, 8)
    radius = 0.018 if kind == "thin" else s.uniform(0.025, 0.045)
    path = [root, root + (-0.2, sway / 2, 0.1 * lift), root + (-0.35, sway, 0.6 * lift), root + (-0.32, sway, lift)]
    return s.tube(path, [radius * 1.3, radius, radius, radius], 14, 8)


def quadruped(s: Sculptor) -> list[Part]:
    leg, girth, neck, angle, size, muzzle, ears, tail_kind = SPECIES[s.pick(list(SPECIES))]
    leg, girth, neck, size, muzzle = (value * s.uniform(0.8, 1.2) for value in (leg, girth, neck, size, muzzle))
    half = s.uniform(0.36, 0.56)
    z = leg + 0.6 * girth
    body = s.tube(
        [(-half, 0, z), (-half / 2, 0, z + s.uniform(0, 0.3) * girth), (half / 2, 0, z), (half, 0, z + 0.1 * girth)],
        np.array([(0.75, 0.65), (1, 0.85), (1.05, 0.85), (0.8, 0.7)]) * girth,
        18,
        18,
    )
    direction = np.array((np.cos(np.deg2rad(angle)), 0, np.sin(np.deg2rad(angle))))
    shoulder = np.array((half + 0.2 * girth, 0, z + 0.35 * girth))
    head_at = shoulder + direction * (neck + 0.5 * size) + (0, s.uniform(-0.05, 0.05), 0)
    coat_parts = [body, s.tube([shoulder - 0.6 * girth * direction, head_at], [0.62 * girth, 0.6 * size], 10, 12)]
    foot_parts = []
    thick = s.uniform(0.22, 0.34) * girth + 0.01
    for front in (-1, 1):
        for side in (-1, 1):
            top = np.array((front * half * 0.88, side * 0.45 * girth, z - 0.25 * girth))
            foot = np.array((front * half * 0.9 + s.uniform(-0.08, 0.08), side * 0.5 * girth, thick * 0.6))
            knee = (top + foot) / 2 + (0.04 * (1 - 2 * (front > 0)), 0, 0)
            coat_parts.append(s.tube([top, knee, foot], [1.5 * thick, 0.9 * thick, 0.85 * thick], 9, 9))
            foot_parts.append(s.ball(foot + (0.3 * thick, 0, -0.1 * thick), np.array((1.3, 1.05, 0.6)) * thick, 8))
    coat_parts.append(tail(s, tail_kind, np.array((-half - 0.55 * girth, 0, z + 0.35 * girth)), girth))
    head_coat, own = head(s, head_at, size, muzzle, ears, s.uniform(-5, 20) + (25 if neck > 0.35 else 0))
    back = near(s.rng, FUR) if s.chance(0.75) else any_colour(s.rng)
    belly = near(s.rng, [(0.95, 0.92, 0.86), (0.8, 0.7, 0.55)]) if s.chance(0.7) else any_colour(s.rng)
    parts = painted(coat_parts + head_coat, coat(s, back, belly)) + own
    parts += painted(foot_parts, solid(shade(back, 0.5) if s.chance(0.5) else belly))
    if neck > 0.3 and s.chance(0.7):
        mane = s.tube(
            [
                shoulder + (-0.1, 0, 0.3 * girth),
                (shoulder + head_at) / 2 + (-0.1, 0, 0.05),
                head_at + (-0.1 * size, 0, 0.9 * size),
            ],
            [(0.03, 0.03), (0.1, 0.04), (0.05, 0.03)],
            10,
            8,
        )
        parts.append(mane.coloured(shade(back, 0.35)))
    return parts
