"""Which resolution (and batch size) a step has: lists in the config, switched at `resolution_milestones`."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import threestudio
from threestudio.errors import UserError


@dataclass(frozen=True)
class Resolution:
    """One size of renderings, and how many views a batch has of it."""

    height: int
    width: int
    batch_size: int = 1


@dataclass(frozen=True)
class ResolutionSchedule:
    """Which resolution holds from which step on."""

    resolutions: tuple[Resolution, ...]
    milestones: tuple[int, ...]

    @classmethod
    def parse(
        cls, where: str, height: Any, width: Any, milestones: Sequence[int], batch_size: Any = 1
    ) -> "ResolutionSchedule":
        """Each of the three is a number, or a list with one more entry than there are milestones."""
        columns = {"height": as_list(height), "width": as_list(width), "batch_size": as_list(batch_size)}
        length = max(len(column) for column in columns.values())
        for name, column in columns.items():
            if len(column) == 1:
                columns[name] = column * length
            elif len(column) != length:
                raise UserError(f"{where}.{name}: {len(column)} values where another list has {length}; give as many")
            if any(not isinstance(value, int) or value < 1 for value in column):
                raise UserError(f"{where}.{name}: {column} must be whole numbers above 0")
        if length == 1 and milestones:
            threestudio.warn(f"{where}.resolution_milestones: ignored, since the resolution does not change")
        elif len(milestones) != length - 1:
            need = f"{length} resolutions need {length - 1}"
            raise UserError(f"{where}.resolution_milestones: {len(milestones)} given; {need}")
        if list(milestones) != sorted(milestones):
            raise UserError(f"{where}.resolution_milestones: {list(milestones)} must rise")
        return cls(
            tuple(Resolution(*row) for row in zip(*columns.values(), strict=True)),
            tuple(milestones) if length > 1 else (),
        )

    def at(self, step: int) -> Resolution:
        return self.resolutions[bisect.bisect_right(self.milestones, step)]


def as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, int | float | str) else list(value)
