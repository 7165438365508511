"""What each step between field and mesh is worth: finished runs of `evaluate_reconstruction.py`, exported again."""

import sys

from studies.meshes.ablate_export import main

if __name__ == "__main__":
    sys.exit(main())
