"""Errors that the user can mend: printed as one line, without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Names the file or key, what was found there and what to do, in one line.

    `launch.py` recognises such errors by `exit_code` alone, so an extension may define its own class.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        """One line, whatever keys and names are quoted in it."""
        super().__init__(" ".join(message.splitlines()))


def nearest_name(name: str, known: Iterable[str], quote: str = "") -> str:
    """The end of a message about an unknown name: the nearest known one, else all of them."""
    known = sorted(known)
    containing = [other for other in known if len(name) > 3 and (name in other or other in name)]
    nearest = difflib.get_close_matches(name, containing or known, n=1, cutoff=0.0 if containing else 0.5)
    if nearest:
        return f"did you mean {quote}{nearest[0]}{quote}?"
    return f"known are {', '.join(known) or 'none'}"
