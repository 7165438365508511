"""The extension's own error: a mistake of the user's, told in one line; the host prints it and exits."""


class UserError(ValueError):
    """What was found and what to do, in one line that names the file or key."""

    exit_code = 2


def one_line(error: BaseException) -> str:
    """The first line of another library's message, to quote."""
    return (str(error).splitlines() or [type(error).__name__])[0]
