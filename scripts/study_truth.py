"""Tables of what the method ends in with a model that knows the truth: see studies/truth_teller/command.py."""

import sys

from studies.truth_teller.command import main

if __name__ == "__main__":
    sys.exit(main())
