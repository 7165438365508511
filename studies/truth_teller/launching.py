"""launch.py, with the truth-teller's guidance among the components: `python -m studies.truth_teller.launching ..`."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """As `launch.main`."""
    import launch
    import studies.truth_teller.guidance  # noqa: F401  (registers it)

    return launch.main(list(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
