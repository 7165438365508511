"""Scores of image to 3D on objects whose true mesh is known, beside what any method has to beat."""

import signal
import sys

from studies.meshes.evaluation import main

if __name__ == "__main__":
    # As an exception, so that the run in progress is ended too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
