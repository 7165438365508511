"""Numbers that change while training, written as lists in YAML.

`[start_step, start, end, end_step]` moves from `start` to `end` between the two steps and is constant outside;
`[start, end, end_step]` starts at step 0; further `value, step` pairs append pieces. Where `end_step` is a float,
epochs are counted instead of steps.
"""

import math
from itertools import pairwise
from typing import Any

from omegaconf import OmegaConf

from threestudio.errors import UserError

Knot = tuple[float, float]


def C(value: Any, epoch: int, global_step: int, interpolation: str = "linear") -> float:
    """The schedule's value at this moment; `interpolation` is "linear" or "exp" (linear in the logarithm)."""
    if isinstance(value, (int, float)):
        return value
    pieces = list(pairwise(knots(value)))

    def now(piece: tuple[Knot, Knot]) -> float:
        return epoch if isinstance(piece[1][0], float) else global_step

    piece = next((piece for piece in pieces if now(piece) < piece[1][0]), pieces[-1])
    (start_step, start), (end_step, end) = piece
    passed = min(max((now(piece) - start_step) / (end_step - start_step), 0.0), 1.0)
    return _interpolate(start, end, passed, interpolation)


def C_max(value: Any) -> float:
    """The largest value that the schedule reaches."""
    if isinstance(value, (int, float)):
        return value
    return max(height for _, height in knots(value))


def knots(value: Any) -> list[Knot]:
    """(step, value) pairs in the order of time."""
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if not isinstance(plain, (list, tuple)):
        raise UserError(f"schedule {plain!r}: expected a number or [start_step, start, end, end_step, ...]")
    if len(plain) == 3:
        plain = [0, *plain]
    numeric = all(isinstance(number, (int, float)) for number in plain)
    if len(plain) < 4 or len(plain) % 2 or not numeric:
        raise UserError(f"schedule {plain}: expected a number or [start_step, start, end, end_step, ...]")
    knots = [(plain[0], plain[1])] + [(plain[i + 1], plain[i]) for i in range(2, len(plain), 2)]
    if any(later[0] <= earlier[0] for earlier, later in pairwise(knots)):
        raise UserError(f"schedule {plain}: its steps must increase")
    return knots


def _interpolate(start: float, end: float, passed: float, interpolation: str) -> float:
    if interpolation == "linear":
        return start + (end - start) * passed
    if interpolation == "exp":
        return math.exp(math.log(start) * (1 - passed) + math.log(end) * passed)
    raise UserError(f'unknown interpolation "{interpolation}"; known are linear, exp')
