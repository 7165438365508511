"""How the commands of `scripts/` end."""

from collections.abc import Callable

from threestudio.utils.console import exit_code_of


def exit_code(work: Callable[[], object]) -> int:
    """0, or that of an error which is the user's to mend, told in one line on stderr."""
    try:
        work()
    except Exception as error:
        return exit_code_of(error)
    return 0
