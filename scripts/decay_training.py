"""Ends a training whose rate is constant, from one of its checkpoints, while it may itself go on."""

import sys

from studies.training.decay_command import main

if __name__ == "__main__":
    sys.exit(main())
