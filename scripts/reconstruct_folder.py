"""A folder of pictures to textured meshes, on as many workers as you like, with scores and a report."""

import sys

if __name__ == "__main__":
    # Here, since each worker's process runs this file too, under another name.
    from studies.reconstruction.folder import main

    sys.exit(main(sys.argv[1:]))
