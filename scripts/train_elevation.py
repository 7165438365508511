"""The network that guesses from how high a picture was taken: its training and its errors."""

import sys

from studies.elevation.command import main

if __name__ == "__main__":
    sys.exit(main())
