"""Table 2 of the paper: the fifteen pictures of RealFusion15, by the cascade and by the plain Zero-1-to-3."""

import sys

if __name__ == "__main__":
    # Here, since each worker's process runs this file too, under another name.
    from studies.reconstruction.realfusion15 import main

    sys.exit(main(sys.argv[1:]))
