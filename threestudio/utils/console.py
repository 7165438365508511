"""What the user sees: our messages, one line each; of the libraries' messages only what went wrong."""

import errno
import logging
import sys
import warnings


class ConsoleHandler(logging.Handler):
    """Looks up the stream at each message, because a live progress bar replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        quiet = record.levelno < logging.WARNING
        prefix = "" if quiet else f"{record.levelname.lower()}: "
        print(f"{prefix}{self.format(record)}", file=sys.stdout if quiet else sys.stderr, flush=True)


def set_up_console(verbose: bool) -> None:
    """`verbose` shows our debug messages and everything that the libraries say."""
    logger = logging.getLogger("threestudio")
    logger.handlers = [ConsoleHandler()]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    if verbose:
        return
    warnings.filterwarnings("ignore")
    for library in ("pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities", "torch", "diffusers"):
        logging.getLogger(library).setLevel(logging.ERROR)


def one_line(error: BaseException) -> str | None:
    """What to tell the user about an error that is theirs to mend; None where it is ours."""
    if hasattr(error, "exit_code"):
        return " ".join(str(error).split())
    if not isinstance(error, OSError):
        return None
    where = f"{error.filename}: " if error.filename else ""
    worded = {
        errno.ENOENT: "no such file or folder",
        errno.EACCES: "no permission",
        errno.EPERM: "no permission",
        errno.EROFS: "lies on a read-only disk",
        errno.ENOTDIR: "a part of this path is a file, not a folder",
        errno.EISDIR: "a folder, not a file",
        errno.ENOSPC: "no space left on the disk; free some and run again (what was complete before is intact)",
        errno.EDQUOT: "disk quota used up; free some and run again (what was complete before is intact)",
    }
    return where + worded[error.errno] if error.errno in worded else None
