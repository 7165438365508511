"""Models kept for the next run in the same process, so that a batch of pictures loads each once per worker.

Off unless `keep_models` was called: a single run gives Base's memory back as soon as it has sampled.
"""

from collections.abc import Callable
from typing import Any

from .model import Zero123

_kept: dict[tuple[Any, ...], Zero123] | None = None


def keep_models() -> None:
    """From here on, in this process."""
    global _kept
    _kept = {} if _kept is None else _kept


def kept(load: Callable[[], Zero123], *key: Any) -> Zero123:
    """The model of this key (path, device, precision) if it was loaded before, else `load()`."""
    if _kept is None:
        return load()
    if key not in _kept:
        _kept[key] = load()
    return _kept[key]


def kept_model(path: str) -> Zero123 | None:
    """The one loaded from `path`, on whatever device it is."""
    return next((model for key, model in (_kept or {}).items() if key[0] == path), None)
