"""Rendered views in a folder for each object: `<id>/000.png` and `<id>/000.npy`, as Zero-1-to-3's renderings lie.

An id may have several parts (`sub/mug`). Zero-1-to-3's own list of what is worth reading, `valid_paths.json`, is
followed where it lies beside the objects; it also spares a walk through all of them.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..common.errors import UserError, one_line
from ..common.files import read_text
from .view_files import VIEW_FILE, BrokenView

LIST = "valid_paths.json"


class ViewFolders:
    """A folder of object folders, in alphabetical order; hidden ones are unfinished and left out."""

    def __init__(self, folder: str | Path) -> None:
        self.folder, self.place = Path(folder), str(folder)
        listed = self.folder / LIST
        self.names = _listed(listed) if listed.is_file() else sorted(_object_folders(self.place, ""))

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def files(self, index: int) -> set[str]:
        try:
            return {file for file in os.listdir(self.folder / self.names[index]) if VIEW_FILE.fullmatch(file)}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def read(self, index: int, file: str) -> bytes:
        path = self.folder / self.names[index] / file
        # Other errors (a disk that is gone, too many open files) are not the object's fault.
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise BrokenView(f"{file}: not a regular file")
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise BrokenView(f"no {file}") from None


def _listed(file: Path) -> list[str]:
    try:
        names = json.loads(read_text(file))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{file}: not JSON ({one_line(error)}); restore it, or remove it to use all objects") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{file}: expected a list of folder names; restore it, or remove it to use all objects")
    return names


def _object_folders(folder: str, name: str) -> Iterator[str]:
    """The ids in it; a folder that holds views holds no further objects."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
    if name and any(VIEW_FILE.fullmatch(file) for file, _ in found):
        yield name
        return
    for file, is_folder in found:
        if is_folder:
            yield from _object_folders(os.path.join(folder, file), f"{name}/{file}" if name else file)
