"""Which values the extension's settings take, declared where the settings are.

A config field's declaration is metadata that this project's runtime reads (threestudio/utils/ranges.py says which); an
upstream host passes over it. Numbers in files of weights, and in blocks of other libraries' arguments, are checked
here.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from .errors import UserError

Bounds = tuple[float, float]  # both are allowed values


def within(default: Any, least: float, most: float, unit: str = "", **more: Any) -> Any:
    """A config field whose numbers lie in [least, most]; with schedule=True a number may be a schedule."""
    metadata = {"range": (least, most), "unit": unit, **more}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def one_of(default: str, *others: str) -> Any:
    """A config field that takes these words."""
    return field(default=default, metadata={"words": (default, *others)})


def refuse_numbers(where: object, content: Mapping[str, Any], declared: Mapping[str, Bounds]) -> None:
    """Raises UserError for the first number, however deep in `content`, that its name's bounds do not hold, or that is
    not finite."""
    for key, name, value in _numbers(content):
        least, most = declared.get(name, (-math.inf, math.inf))
        if not (math.isfinite(value) and least <= value <= most):
            expected = f"a number within {least:.12g} and {most:.12g}" if name in declared else "a finite number"
            raise UserError(f"{where}: {key} is {value!r:.30}, expected {expected}")


def _numbers(content: Any, path: str = "", name: str = "") -> Iterator[tuple[str, str, float]]:
    """(full key, last name in it, number)."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _numbers(value, f"{path}.{key}".lstrip("."), str(key))
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _numbers(value, path, name)
    elif isinstance(content, (int, float)) and not isinstance(content, bool):
        yield path, name, content
