"""The network that guesses a picture's relief, from nothing: its pictures, its training, its scores."""

import sys

from studies.relief.command import main

if __name__ == "__main__":
    sys.exit(main())
