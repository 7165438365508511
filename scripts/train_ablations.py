"""Trains the rows of the paper's Table 3 and their control from one Base, one after the other."""

import sys

from studies.training.ablations import main

if __name__ == "__main__":
    sys.exit(main())
