"""What matters for a small Base: short trainings from nothing, compared on held-out objects."""

import sys

from studies.training.exploration import main

if __name__ == "__main__":
    sys.exit(main())
