"""Scores of image to 3D on objects whose true mesh is known, beside what any method has to beat."""

import sys

from studies.meshes.evaluation import main

if __name__ == "__main__":
    sys.exit(main())
