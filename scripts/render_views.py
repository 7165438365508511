"""Meshes in, posed pictures out: the views that Zero-1-to-3 and Cascade-Zero123 are trained on."""

import sys

from studies.rendering.command import main

if __name__ == "__main__":
    sys.exit(main())
