"""The settings that a data set was rendered with, kept beside it, so that a later run does not mix in others."""

from pathlib import Path
from typing import Any

from studies import store

OPTIONS = {"objects": "generate"}  # where a setting's option has another name


def keep_settings(path: Path, settings: dict[str, Any], place: str) -> None:
    """In `path`, unless they are there; `place` is the option that names the data set."""
    if path.is_file():
        refuse_others(path, settings, place)
    else:
        store.write_json(path, settings)


def refuse_others(path: Path, settings: dict[str, Any], place: str) -> None:
    """Whatever else stands there; what does not is None."""
    theirs = store.read_json(path)

    def refusal(key: str, there: Any, here: Any) -> str:
        option = f"--{OPTIONS.get(key, key).replace('_', '-')}"
        return f"{path}: rendered with {option} {there}, not {here}; choose another {place}"

    store.refuse_others({key: theirs.get(key) for key in settings}, settings, refusal)
