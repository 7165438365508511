"""Objects of a data set that cannot be used: each is said once, and too many of them end the run."""

from collections.abc import Iterable

import threestudio

from ..common.errors import UserError

SAID_IN_FULL = 20
TRIED_AT_LEAST = 100  # objects, or all, before their share says something


class BrokenObjects:
    """What one process has noticed so far; what it reads never depends on this."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.found: set[int] = set()
        self.used: set[int] = set()

    def __len__(self) -> int:
        return len(self.found)

    def record(self, used: Iterable[int], broken: Iterable[tuple[int, str, str]], total: int) -> None:
        """`broken`: index, name and reason of each. Raises UserError where more than half are."""
        self.used.update(used)
        last = ""
        for index, name, reason in broken:
            last = f"{name}: {reason}"
            if index not in self.found:
                self.found.add(index)
                self._say(last)
        tried = len(self.found | self.used)
        if last and tried >= min(TRIED_AT_LEAST, total) and 2 * len(self.found) > tried:
            raise UserError(
                f"{self.place}: {len(self.found)} of the {tried} objects tried are broken, the last {last}; "
                "render them again (scripts/render_views.py) or leave them out"
            )

    def _say(self, line: str) -> None:
        count = len(self.found)
        if count <= SAID_IN_FULL:
            threestudio.warn(f"{line}; another object takes its place")
        elif count & (count - 1) == 0:  # powers of two
            threestudio.warn(f"{self.place}: {count} broken objects so far; others take their places")
