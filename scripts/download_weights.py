"""Published Zero-1-to-3 weights, fetched from huggingface.co to where the configs look for them."""

import sys

from studies.weights.download import main

if __name__ == "__main__":
    sys.exit(main())
