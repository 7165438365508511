"""How fast a training runs, and early on, how long it will take."""

import time
from datetime import timedelta

REMEMBERED = 50  # batches
TOLD_AFTER = 32  # of those that count: enough for a few refreshes of a Refiner's pool


class Throughput:
    """From the end of a batch to the end of the next: its data, its prompts and its checkpoint are in it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.since: float | None = None
        self.counted = 0

    def end(self) -> None:
        """Of a batch; the very first, with all that starts up, only begins the count."""
        now = time.perf_counter()
        if self.since is not None:
            self.seconds = [*self.seconds, now - self.since][-REMEMBERED:]
            self.counted += 1
        self.since = now

    def skip(self) -> None:
        """What has passed since the last batch is not of the kind that will go on: validation, filling a pool."""
        self.since = time.perf_counter()

    @property
    def batches_per_second(self) -> float:
        """Mean since the first step that counted."""
        return len(self.seconds) / max(sum(self.seconds), 1e-9)

    def announcement(self, batches_left: int) -> str | None:
        """Once, when the first batches are over."""
        if self.counted != TOLD_AFTER or batches_left <= 0:
            return None
        left = timedelta(seconds=round(batches_left / self.batches_per_second))
        return f"{1 / self.batches_per_second:.2f} s a batch: the remaining {batches_left:,} will take about {left}"
