"""Progress of a stage: a bar on a terminal, a plain line now and then elsewhere.

    with stage("train", total=600) as progress:
        progress.advance(note="loss 0.12")

Stages may be nested; `track` wraps a loop.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0
_pace = SECONDS_BETWEEN_LINES
_bar: Progress | None = None


class Stage:
    """One line of progress; `total` None means that nobody knows how long it is."""

    def __init__(self, name: str, total: int | None, done: int = 0) -> None:
        self.name, self.total, self.done, self.first = name, total, done, done
        self.started = self.spoken = time.monotonic()
        self.note = ""
        self.task = _bar.add_task(name, total=total, completed=done, note="") if _bar is not None else None

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        """By so many, with a note at the end of the line."""
        self.done += steps
        self.note = self.note if note is None else note
        if _bar is not None and self.task is not None:
            _bar.update(self.task, completed=self.done, note=self.note)
        elif time.monotonic() - self.spoken > _pace:
            self.say()

    def say(self) -> None:
        self.spoken = time.monotonic()
        print(self.line(), flush=True)

    def line(self) -> str:
        """`train 150/600, loss 0.12, 1:20 left`"""
        count = f" {self.done}/{self.total}" if self.total else f" {self.done}" if self.done else ""
        return ", ".join(part for part in (f"{self.name}{count}", self.note, self._time()) if part)

    def _time(self) -> str:
        passed = time.monotonic() - self.started
        made = self.done - self.first
        if self.total and self.done >= self.total:
            return f"took {minutes(passed)}"
        return f"{minutes(passed / made * (self.total - self.done))} left" if self.total and made else ""


def set_pace(seconds: float) -> None:
    """Between lines, where somebody watches."""
    global _pace
    _pace = seconds


def minutes(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@contextmanager
def stage(name: str, total: int | None = None, done: int = 0) -> Iterator[Stage]:
    """`done` steps lie behind us already, as in a resumed run."""
    global _bar
    outermost = _bar is None and sys.stdout.isatty()
    if outermost:
        _bar = _make_bar()
        _bar.start()
    progress = Stage(name, total, done)
    try:
        yield progress
    finally:
        if _bar is not None and progress.task is not None:
            _bar.remove_task(progress.task)
        if outermost and _bar is not None:
            _bar.stop()
            _bar = None
    # Only where the stage came to its end; an error speaks for itself.
    if total and progress.done > progress.first:
        progress.say()


def track(items: Iterable[Item], name: str, total: int | None = None) -> Iterator[Item]:
    """Yields the items, showing how many are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with stage(name, total) as progress:
        for item in items:
            yield item
            progress.advance()


def _make_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        refresh_per_second=4,
        transient=True,
    )
