"""Objects made by people as GLB files, split by name: to train on, and to test with, beside generated ones."""

import sys

from studies.real_objects.command import main

if __name__ == "__main__":
    sys.exit(main())
