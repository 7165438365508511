"""Evaluation in pieces, so that memory does not grow with the picture."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def in_chunks(function: Callable[..., Any], size: int, *args: Any, **kwargs: Any) -> Any:
    """`function` on slices of its tensor arguments, the results (tensors or dicts of them) joined; size 0: at once."""
    count = next(len(value) for value in [*args, *kwargs.values()] if isinstance(value, Tensor))
    if size <= 0 or count <= size:
        return function(*args, **kwargs)
    parts = []
    for start in range(0, count, size):

        def cut(value: Any, piece: slice = slice(start, start + size)) -> Any:
            return value[piece] if isinstance(value, Tensor) and len(value) == count else value

        parts.append(function(*map(cut, args), **{name: cut(value) for name, value in kwargs.items()}))
    if isinstance(parts[0], dict):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return torch.cat(parts)
