"""Ctrl-C and `kill`: a training step is finished and saved before the run stops; anything else stops at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """Not an Exception: nothing on the way should take it for a failure."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class Interruption:
    """While `deferred`, the first signal only sets `pending`; the second is obeyed at once."""

    def __init__(self) -> None:
        self.deferred = False
        self.pending: int | None = None

    def handle(self, signal_number: int, frame: FrameType | None) -> None:
        """The signal's: at once an exception, or kept until the step is done."""
        if not self.deferred or self.pending is not None:
            raise Interrupted(signal_number)
        self.pending = signal_number

    @contextmanager
    def listening(self) -> Iterator["Interruption"]:
        """Takes the two signals over, and gives them back."""
        before = {number: signal.signal(number, self.handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
