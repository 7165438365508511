"""The object on a disc of ground as it would look from an elevation: where the disc looks right, the elevation is."""

import base64
import io
import math

import numpy as np
from jaxtyping import Float
from PIL import Image

SIDE = 480  # pixels of the picture inside; the drawing itself has no size
RINGS, SPOKES = (0.25, 0.5, 0.75, 1.0), 12
GROUND = 0.62  # radius of the disc, the picture's half side being 1
DISTANCE = 5.67  # of the camera, in the same unit: 3.8 over 0.67
POINTS = 72


def scene(rgba: Float[np.ndarray, "s s 4"], elevation_deg: float) -> str:
    """SVG, in [-1, 1]."""
    low = lowest(rgba[..., 3])
    drop = low if abs(elevation_deg) < 1 else low - 0.35 * GROUND * math.sin(math.radians(max(elevation_deg, 0.0)))
    ground = -max(drop, 0.05) / math.cos(math.radians(min(abs(elevation_deg), 75.0)))
    rings = "".join(f'<path d="{path(ring(radius * GROUND, ground, elevation_deg), True)}"/>' for radius in RINGS)
    spokes = "".join(f'<path d="{path(line, False)}"/>' for line in spokes_of(ground, elevation_deg))
    image = f'<image href="{data_uri(rgba)}" x="-1" y="-1" width="2" height="2"/>'
    below = elevation_deg < 0  # seen from below, the ground is before the object
    parts = [f'<g class="ground">{rings}{spokes}</g>', image]
    label = f"The object as seen from {elevation_deg:.0f} degrees"
    return (
        f'<svg class="scene" viewBox="-1 -1 2 2" role="img" aria-label="{label}">'
        f"{''.join(reversed(parts) if below else parts)}{dial(elevation_deg)}</svg>"
    )


def lowest(alpha: Float[np.ndarray, "s s"]) -> float:
    """How far below the middle the object reaches."""
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    return float(2 * (rows[-1] + 1) / len(alpha) - 1) if len(rows) else 0.75


def ring(radius: float, height: float, elevation_deg: float) -> list[tuple[float, float]]:
    turns = np.linspace(0, 2 * math.pi, POINTS, endpoint=False)
    return [seen(radius * math.cos(turn), radius * math.sin(turn), height, elevation_deg) for turn in turns]


def spokes_of(height: float, elevation_deg: float) -> list[list[tuple[float, float]]]:
    turns = [2 * math.pi * number / SPOKES for number in range(SPOKES)]
    ends = [(math.cos(turn) * GROUND, math.sin(turn) * GROUND) for turn in turns]
    return [[seen(0.25 * x, 0.25 * y, height, elevation_deg), seen(x, y, height, elevation_deg)] for x, y in ends]


def seen(x: float, y: float, z: float, elevation_deg: float) -> tuple[float, float]:
    """A point of the world, x towards the camera and z up, in the picture: column and row downwards."""
    elevation = math.radians(elevation_deg)
    towards = x * math.cos(elevation) + z * math.sin(elevation)
    up = z * math.cos(elevation) - x * math.sin(elevation)
    scale = DISTANCE / (DISTANCE - towards)
    return y * scale, -up * scale


def path(points: list[tuple[float, float]], closed: bool) -> str:
    return "M" + "L".join(f"{x:.3f},{y:.3f}" for x, y in points) + ("Z" if closed else "")


def dial(elevation_deg: float) -> str:
    """In a corner: the ground, the object, and the camera that looks at it, from the side."""
    elevation = math.radians(elevation_deg)
    x, y = 0.22 * math.cos(elevation), -0.22 * math.sin(elevation)
    return (
        '<g class="dial" transform="translate(-0.93 0.72)"><path d="M0,0H0.26"/>'
        f'<path class="ray" d="M0,0L{x:.3f},{y:.3f}"/><circle cx="{x:.3f}" cy="{y:.3f}" r="0.022"/>'
        f'<text x="0" y="0.13">{elevation_deg:.0f}°</text></g>'
    )


def data_uri(rgba: Float[np.ndarray, "s s 4"]) -> str:
    image = Image.fromarray((rgba * 255).round().astype(np.uint8))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
