"""Files and folders that appear whole or not at all."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside `path`, with its suffix, to write to; renamed to `path` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        with open(partial, "rb+") as file:
            # A rename can reach the disk before the data does, and a full disk may only be noticed here.
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        # Errors while writing come without a name, or with the temporary one.
        error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # a read-only disk says so once, above, by the name that was asked for
            partial.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """What writers that were killed have left in a folder and below it; one that still runs keeps its own."""
    for path in folder.rglob(".*.part*"):
        named = re.fullmatch(r"\..+\.(\d+)\.part(\..*)?", path.name)
        if named and not _runs(int(named[1])):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder beside `path` to fill; renamed to `path`, which must not exist, when the block ends without an error."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.mkdir(parents=True)
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                with open(file, "rb+") as written:
                    os.fsync(written.fileno())
        os.rename(partial, path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
