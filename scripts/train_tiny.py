"""The model that ships here, from nothing: Base, then its Refiner, then both in place of those in load/."""

import sys

from studies.training.tiny import main

if __name__ == "__main__":
    sys.exit(main())
