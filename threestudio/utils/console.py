"""What the user sees: our messages, one line each; of the libraries' messages only what went wrong."""

import errno
import io
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name of any bytes can be told on any terminal
            stream.reconfigure(errors="backslashreplace")
    logger = logging.getLogger("threestudio")
    logger.handlers = [ConsoleHandler()]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        quiet_libraries()


def quiet_libraries() -> None:
    """Again once they are imported: Lightning sets its level then."""
    warnings.filterwarnings("ignore")
    for library in ("pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities", "torch", "diffusers"):
        logging.getLogger(library).setLevel(logging.ERROR)


def one_line(error: BaseException) -> str | None:
    """What to tell the user about an error that is theirs to mend; None where it is ours."""
    if hasattr(error, "exit_code"):
        return " ".join(str(error).split())
    if not isinstance(error, OSError):
        return None
    if error.errno is None:
        return None
    where = f"{error.filename}: " if error.filename else ""
    worded = {
        errno.ENOENT: "no such file or folder",
        errno.EACCES: "no permission",
        errno.EPERM: "no permission",
        errno.EROFS: "lies on a read-only disk",
        errno.ENOTDIR: "a part of this path is a file, not a folder",
        errno.EISDIR: "a folder, not a file",
        errno.EEXIST: "is in the way, where a folder is to be made; move it away",
        errno.ENAMETOOLONG: "longer than a path or a name may be",
        errno.ELOOP: "links that lead to each other",
        errno.ENOSPC: "no space left on the disk; free some and run again (what was complete before is intact)",
        errno.EDQUOT: "disk quota used up; free some and run again (what was complete before is intact)",
    }
    said = worded.get(error.errno) or f"{(error.strerror or 'failed').lower()}; that is what the system says"
    return f"{where}{said}"


def exit_code_of(error: BaseException) -> int:
    """Tells an error that is the user's to mend in one line on stderr, and gives the exit code; raises any other."""
    message = one_line(error)
    if message is None:
        raise error
    print(message, file=sys.stderr)
    return 2
