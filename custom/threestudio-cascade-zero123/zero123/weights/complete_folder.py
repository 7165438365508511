"""A folder that appears whole or not at all: filled out of sight, then renamed."""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from safetensors import SafetensorError

from ...common.errors import UserError, one_line


@contextlib.contextmanager
def whole_folder(path: str | Path, known: Collection[str]) -> Iterator[Path]:
    """A hidden folder beside `path` to fill; it takes its place when the block ends without an error.

    A folder that is there already is replaced, if it has nothing but `known` in it. What a killed process has left is
    cleared, so only one process may fill `path` at a time.
    """
    folder = Path(path).resolve()
    _refuse_other_things(folder, known)
    partial, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("part", "old"))
    try:
        _clear(folder, partial, old)
        partial.mkdir(parents=True)
        yield partial
        _finish_files(partial)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        _sync(folder.parent)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be written ({one_line(error)}); mend that and run again") from error
    finally:
        _clear(folder, partial, old)


def _refuse_other_things(folder: Path, known: Collection[str]) -> None:
    other = sorted(set(os.listdir(folder)) - set(known)) if folder.is_dir() else []
    if other:
        raise UserError(f"{folder}: not only a model is in it but {other[0]}; name another folder")


def _clear(folder: Path, partial: Path, old: Path) -> None:
    """Between the two renames what was there before is all there is."""
    if old.exists() and not folder.exists():
        old.rename(folder)
    for left in (partial, old):
        shutil.rmtree(left, ignore_errors=True)


def _finish_files(folder: Path) -> None:
    """On the disk, and to be read by whoever may read the folder: safetensors lets only the owner."""
    mode = folder.stat().st_mode & 0o666
    for path in [*folder.rglob("*"), folder]:
        if path.is_file():
            path.chmod(mode)
        _sync(path)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
