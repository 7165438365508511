"""The store of results: what was made stays with the settings that it was made with, is taken up again, and is refused
for other settings.

Settings are a JSON file beside the results (`keep_settings`). Scores of many objects are JSON Lines, one file for each
set of rows that is computed together (`KeptScores`).
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.resume import differences

Refusal = Callable[[str, Any, Any], str]  # what to tell of a setting, its value there and its value here
RowScores = dict[str, dict[str, dict[str, float]]]  # method, kind, metric


def keep_settings(path: Path, settings: Mapping[str, Any], refusal: Refusal) -> None:
    """In `path`, unless there are some: those have to be the same, as `refuse_others` has it."""
    before = read_json(path)
    if before is None:
        write_json(path, settings)
    else:
        refuse_others(before, settings, refusal)


def refuse_others(theirs: Any, ours: Any, refusal: Refusal) -> None:
    """UserError for the first setting, however deep, by which what was kept and today's differ."""
    for key, there, here in differences(theirs, as_kept(ours)):
        raise UserError(refusal(key, there, here))


def as_kept(content: Any) -> Any:
    """What it is when it is read again: tuples have become lists, numbers as names words."""
    return json.loads(json.dumps(content))


def write_json(path: Path, content: Any) -> None:
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """None where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


class KeptScores:
    """Of each object, as they come, so that a rerun goes on where another one ended.

    The file is named by a digest of all that its numbers depend on (weights, views, settings), which is its first line.
    A last line that was cut off is dropped. `ingredients` are what the scores depend on beside the object; `label`
    starts the file's name.
    """

    def __init__(self, folder: Path, label: str, ingredients: Mapping[str, Any]) -> None:
        self.ingredients = json.loads(json.dumps(ingredients, sort_keys=True))
        digest = hashlib.sha256(json.dumps(self.ingredients, sort_keys=True).encode()).hexdigest()
        self.path = folder / f"{label}-{digest[:16]}.jsonl"
        self.scores = self._read()

    def missing(self, numbers: list[int]) -> list[int]:
        return [number for number in numbers if number not in self.scores]

    def add(self, scores: Mapping[int, RowScores]) -> None:
        """Of some objects, by their numbers."""
        if not self.path.exists():
            self._rewrite()
        with open(self.path, "a", encoding="utf-8") as file:
            for number, rows in scores.items():
                file.write(json.dumps({"object": number, "scores": rows}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.scores |= scores

    def _read(self) -> dict[int, RowScores]:
        if not self.path.exists():
            return {}
        lines = self.path.read_text(encoding="utf-8").split("\n")
        try:
            head, *entries = [json.loads(line) for line in lines[:-1]]
            scores = {int(entry["object"]): entry["scores"] for entry in entries}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: damaged ({error}); remove it, and its scores are computed again") from error
        if head != self.ingredients:
            raise UserError(f"{self.path}: of other settings than its name says; remove it")
        if lines[-1]:
            self.scores = scores
            self._rewrite()
        return scores

    def _rewrite(self) -> None:
        """Whole lines alone, so that the next one does not follow half of another."""
        kept = getattr(self, "scores", {})
        with atomic_path(self.path) as partial:
            lines = [self.ingredients, *({"object": number, "scores": rows} for number, rows in kept.items())]
            partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
