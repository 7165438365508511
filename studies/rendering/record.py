"""The settings that a data set was rendered with, kept beside it, so that a later run does not mix in others."""

import json
from pathlib import Path
from typing import Any

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path

OPTIONS = {"objects": "generate"}  # where a setting's option has another name


def keep_settings(path: Path, settings: dict[str, Any], place: str) -> None:
    """In `path`, unless they are there; `place` is the option that names the data set."""
    if path.is_file():
        refuse_others(path, settings, place)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as unfinished:
        unfinished.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def refuse_others(path: Path, settings: dict[str, Any], place: str) -> None:
    theirs = json.loads(path.read_text(encoding="utf-8"))
    for key, value in json.loads(json.dumps(settings)).items():
        if theirs.get(key) != value:
            option = f"--{OPTIONS.get(key, key).replace('_', '-')}"
            raise UserError(f"{path}: rendered with {option} {theirs.get(key)}, not {value}; choose another {place}")
