"""Rendered views in WebDataset shards, read at random: a draw is then as repeatable as one from a folder.

The index of all shards stays in memory: about 37 bytes a view, 0.36 GB for Objaverse's 800 000 objects of 12 views.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import threestudio

from ..common.errors import UserError
from .shard_index import joined, shard_index
from .view_files import BrokenView

RANGE = re.compile(r"(\d+)\.\.(\d+)")
SCANS_AT_ONCE = 8
MOST_SHARDS = 100_000


class ViewShards:
    """The objects of all shards, in the shards' order."""

    def __init__(self, place: str, shards: Sequence[Path]) -> None:
        self.place, self.shards = place, list(shards)
        threestudio.info(f"{place}: {len(self.shards)} shards; the first time, each is scanned for what lies where")
        with ThreadPoolExecutor(SCANS_AT_ONCE) as pool:
            self.index, self.shard_of = joined(list(pool.map(shard_index, self.shards)))

    def __len__(self) -> int:
        return len(self.index.names)

    def name(self, index: int) -> str:
        return f"{self.shards[self.shard_of[index]]}: {self.index.names[index].decode()}"

    def files(self, index: int) -> set[str]:
        rows = self._rows(index)
        views, places = self.index.views[rows], self.index.places[rows]
        pictures = {f"{view:03d}.png" for view, place in zip(views, places, strict=True) if place[1] >= 0}
        return pictures | {f"{view:03d}.npy" for view, place in zip(views, places, strict=True) if place[3] >= 0}

    def read(self, index: int, file: str) -> bytes:
        """Shards are opened for each read: they may be more than a process may hold open, and forks share nothing."""
        rows = self._rows(index)
        row = rows.start + int(np.flatnonzero(self.index.views[rows] == int(file[:3]))[0])
        offset, size = self.index.places[row].reshape(2, 2)[0 if file.endswith("png") else 1].tolist()
        with open(self.shards[self.shard_of[index]], "rb", buffering=0) as shard:
            content = os.pread(shard.fileno(), size, offset)
        if len(content) < size:
            raise BrokenView(f"{file}: {len(content)} of {size} bytes; the shard is truncated")
        return content

    def _rows(self, index: int) -> slice:
        return slice(int(self.index.first[index]), int(self.index.first[index + 1]))


def shards_in(folder: Path) -> list[Path]:
    """Hidden ones are unfinished."""
    return sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))


def shard_paths(pattern: str) -> list[Path]:
    """`{000000..000127}` stands for all numbers in between, as wide as the first; `{a,b}` for either."""
    paths = [Path(path) for path in itertools.islice(_expanded(pattern), MOST_SHARDS + 1)]
    if len(paths) > MOST_SHARDS:
        raise UserError(f"{pattern}: stands for more than {MOST_SHARDS} shards; give fewer numbers in its braces")
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"{pattern}: {len(missing)} of {len(paths)} shards missing, first {missing[0]}; restore them")
    return paths


def _expanded(pattern: str) -> Iterator[str]:
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None:
        yield pattern
        return
    numbers = RANGE.fullmatch(braces[1])
    if numbers is None:
        choices: Iterable[str] = braces[1].split(",")
    else:
        width = len(numbers[1])
        choices = (f"{number:0{width}d}" for number in range(int(numbers[1][:18]), int(numbers[2][:18]) + 1))
    for choice in choices:
        yield from _expanded(pattern[: braces.start()] + choice + pattern[braces.end() :])
