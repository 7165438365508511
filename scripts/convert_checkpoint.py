"""Zero-1-to-3 weights from one layout into another, bit by bit the same unless a dtype is asked for."""

import signal
import sys

from studies.weights.convert import main

if __name__ == "__main__":
    # As an exception, so that nothing half-written is left.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
