"""The extension's own error: a mistake of the user's, told in one line; the host prints it and exits."""


class UserError(ValueError):
    """What was found and what to do, in one line that names the file or key."""

    exit_code = 2
