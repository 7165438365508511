"""Files that the user names, opened only where they are files: a pipe or a device would never come to an end."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from .errors import UserError, one_line

LARGEST_TEXT = 16 << 20  # bytes of a file of settings


def regular_file(path: str | Path, missing: str = "no such file") -> Path:
    """The path, if opening it comes to an end; else UserError, `missing` where it is not there."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a name with a zero byte
        raise UserError(f"{path}: {missing}") from None
    except OSError as error:
        raise UserError(f"{path}: {one_line(error)}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise UserError(f"{path}: {kind}; expected a regular file")
    return Path(path)


def read_text(path: str | Path, missing: str = "no such file") -> str:
    """Of a file of settings; raises UserError for what is no text or far too large."""
    file = regular_file(path, missing)
    if file.stat().st_size > LARGEST_TEXT:
        raise UserError(f"{path}: {file.stat().st_size / 1e6:.0f} MB, which no such file has")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as text ({one_line(error)})") from error


def read_json(path: str | Path, missing: str = "missing") -> dict[str, Any]:
    """An object."""
    text = read_text(path, missing)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({one_line(error)})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object")
    return content
