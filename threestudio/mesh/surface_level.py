"""The density at which a field's solid looks like its volume rendering.

A ray's surface is where half of its light is gone: its optical depth, the integral of the density, reaches ln 2. A ray
that never gets there sees through. The best level is the one whose solid {density > level} is hit by the same rays
(the outlines), at the same depths (the relief), measured along the axes from all six sides. Depth only decides between
equal outlines: in a soft field half of the light is lost well inside, and a level that meets it there makes the object
too small everywhere. What lies at the border of the box is taken for a haze that fills all of it, and left out of the
integral.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

HALF_OPACITY = math.log(2.0)
CANDIDATES = 64
DEPTH_WEIGHT = 0.02  # of the largest depth error, where 1 is a ray hit by only one of solid and rendering
LARGEST_DEPTH_ERROR = 0.1  # of the ray's length; beyond it one error is as bad as another
PLATEAU = 0.02  # levels this close to the smallest error count as equally good
# Beyond this factor above or below the level a density says only "inside" or "outside". Cutting both sides alike puts
# a jump in density halfway between the samples, however high it is.
LEVEL_SPAN = math.log(30.0)


def haze_of(density: Float[np.ndarray, "x y z"]) -> float:
    """The median density on the six sides of the box, where no object should be."""
    sides = [np.take(density, end, axis=axis).reshape(-1) for axis in range(3) for end in (0, -1)]
    return float(np.median(np.concatenate(sides)))


def rendering_level(density: Float[np.ndarray, "x y z"], step: float, haze: float = 0.0) -> float | None:
    """The level for samples `step` apart; None if no ray is opaque, that is, if the field is empty."""
    excess = np.maximum(density - haze, 0.0)
    views = [view for axis in range(3) for view in _views_along(excess, axis, step)]
    if not any(opaque.any() for _, opaque, _ in views):
        return None
    # A uniform box of the lowest candidate would be just opaque: nothing thinner can make a surface.
    lowest = HALF_OPACITY / (step * max(excess.shape))
    candidates = np.geomspace(lowest, max(float(excess.max()), 2.0 * lowest), CANDIDATES, endpoint=False)
    errors = np.zeros(CANDIDATES)
    for highest_so_far, opaque, surface in views:
        errors += [_disagreement(highest_so_far, opaque, surface, level) for level in candidates]
    return haze + _middle_of_the_best(candidates, errors)


def signed_level(density: np.ndarray, level: float) -> np.ndarray:
    """Logarithm of density over level, cut to the span: positive inside, and close to linear across the surface."""
    return np.clip(np.log(np.maximum(density, 1e-20) / level), -LEVEL_SPAN, LEVEL_SPAN)


def _views_along(density, axis, step):
    """For both directions of an axis: running maximum of the density, opaque rays, and where their surface lies.

    Positions count in samples; sample i stands for the interval from i - 0.5 to i + 0.5.
    """
    rays = np.moveaxis(density, axis, -1).reshape(-1, density.shape[axis])
    for samples in (rays, rays[:, ::-1]):
        optical_depth = np.cumsum(samples, axis=1) * step
        passed = optical_depth >= HALF_OPACITY
        last = passed.argmax(axis=1)[:, None]
        within = np.take_along_axis(samples, last, axis=1) * step
        beyond = np.take_along_axis(optical_depth, last, axis=1) - HALF_OPACITY
        surface = last + 0.5 - beyond / np.maximum(within, 1e-20)
        yield np.maximum.accumulate(samples, axis=1), passed[:, -1], surface[:, 0]


def _disagreement(
    highest_so_far: Float[np.ndarray, "ray sample"],
    opaque: Bool[np.ndarray, "ray"],
    surface: Float[np.ndarray, "ray"],
    level: float,
) -> float:
    """Mean over the rays: 1 where only one of solid and rendering is hit, else the weighted error in depth."""
    length = highest_so_far.shape[1]
    first_inside = (highest_so_far <= level).sum(axis=1)
    hit = first_inside < length
    inside = signed_level(_at(highest_so_far, np.minimum(first_inside, length - 1)), level)
    outside = signed_level(_at(highest_so_far, np.maximum(first_inside - 1, 0)), level)
    crossing = np.where(first_inside > 0, first_inside - inside / np.maximum(inside - outside, 1e-6), 0.0)
    depth_error = np.minimum(np.abs(crossing - surface) / max(1.0, LARGEST_DEPTH_ERROR * length), 1.0)
    return float(np.where(hit & opaque, DEPTH_WEIGHT * depth_error, hit ^ opaque).mean())


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, index[:, None], axis=1)[:, 0]


def _middle_of_the_best(candidates, errors) -> float:
    """The geometric middle of the run of levels around the best one that are about as good."""
    good = errors <= errors.min() * (1.0 + PLATEAU) + 1e-9
    first = last = int(errors.argmin())
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(good) and good[last + 1]:
        last += 1
    return float(np.sqrt(candidates[first] * candidates[last]))
