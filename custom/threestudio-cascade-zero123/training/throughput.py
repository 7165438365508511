"""How fast a training runs, and early on, how long it will take."""

import time
from datetime import timedelta

REMEMBERED = 50  # batches
TOLD_AFTER = 20


class Throughput:
    """Of the last batches; validation between them is not counted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.begun = 0.0
        self.batches = 0

    def begin(self) -> None:
        self.begun = time.perf_counter()

    def end(self) -> None:
        self.seconds = [*self.seconds, time.perf_counter() - self.begun][-REMEMBERED:]
        self.batches += 1

    @property
    def batches_per_second(self) -> float:
        return len(self.seconds) / max(sum(self.seconds), 1e-9)

    def announcement(self, batches_left: int) -> str | None:
        """Once, when the first batches are over."""
        if self.batches != TOLD_AFTER or batches_left <= 0:
            return None
        left = timedelta(seconds=round(batches_left / self.batches_per_second))
        return f"{1 / self.batches_per_second:.2f} s a batch: the remaining {batches_left:,} will take about {left}"
