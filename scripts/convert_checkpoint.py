"""Zero-1-to-3 weights from one layout into another, bit by bit the same unless a dtype is asked for."""

import sys

from studies.weights.convert import main

if __name__ == "__main__":
    sys.exit(main())
