"""Measures novel views against the truth, and against each other."""

import sys

from studies.novel_views.command import main

if __name__ == "__main__":
    sys.exit(main())
