"""Generated objects as GLB files, and the sample pictures with their true meshes."""

import sys

from studies.objects.command import main

if __name__ == "__main__":
    sys.exit(main())
