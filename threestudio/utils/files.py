"""Files and names that the user gives: opened only if they are regular files, and kept in forms that every text holds.

A name of the file system is any bytes; a config, a checkpoint and a report are UTF-8. `storable` is the name as they
hold it, `on_disk` the file it means; `folder_name` is what a folder can be called after any of them.
"""

import hashlib
import os
import re
import stat
from pathlib import Path

from threestudio.errors import UserError

LONGEST_NAME = 120  # bytes of a folder's name: what is made in and beside it adds to them
NOT_REGULAR = {stat.S_ISFIFO: "a pipe", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device", stat.S_ISSOCK: "a socket"}


def regular_file(
    path: str | os.PathLike[str], missing: str = "no such file", folder: str = "a folder, not a file"
) -> Path:
    """The path, if opening it comes to an end; else UserError, for a file that is not there or a folder in the caller's
    words."""
    place = on_disk(path)
    try:
        mode = os.stat(place).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a name with a zero byte
        raise UserError(f"{path}: {missing}") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: {folder}")
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in NOT_REGULAR.items() if is_kind(mode)), "no regular file")
        raise UserError(f"{path}: {kind}, from which nothing is read; name a regular file")
    return place


def storable(name: str) -> str:
    """Bytes that are not UTF-8 as `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def on_disk(path: str | os.PathLike[str]) -> Path:
    """The inverse of `storable`, where such a file is there."""
    text = str(path)
    if "\\x" not in text or os.path.lexists(text):
        return Path(path)
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(text))
    return Path(os.fsdecode(raw)) if os.path.lexists(raw) else Path(path)


def folder_name(text: str) -> str:
    """One part of a path, by which `text` is still known: what no folder or config may be called is replaced, too long
    a name shortened, and a digest keeps such names apart."""
    plain = re.sub(r"[/\\\x00-\x1f\x7f]|\$(?=\{)", "_", text)
    plain = re.sub(r"^\.+", "_", plain)
    if plain == text and len(text.encode()) <= LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return plain.encode()[: LONGEST_NAME - 9].decode("utf-8", "ignore") + f"-{digest}"
