"""Where the views lie in one WebDataset shard (an uncompressed tar), found by one scan and kept on disk.

Members are `<id>/000.png` and `<id>/000.npy`, or `<id>.000.png` and `<id>.000.npy`. The index lies beside the shard, or
in the user's cache where that folder cannot be written, and holds for the shard's size and time of change.
"""

import hashlib
import os
import re
import tarfile
import uuid
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int16, Int64, Shaped
from numpy import ndarray

import threestudio

from ..common.errors import UserError
from ..common.files import regular_file

FORMAT = 1
MEMBER = re.compile(r"(?:\./)?(.+)[/.](\d{3})\.(png|npy)")


@dataclass(frozen=True)
class ShardIndex:
    """The rows of object `i` are those from `first[i]` to `first[i + 1]`, one a view."""

    names: Shaped[ndarray, "object"]  # UTF-8
    first: Int64[ndarray, "object+1"]
    views: Int16[ndarray, "row"]  # the number in the file's name
    places: Int64[ndarray, "row 4"]  # offset and size of the picture, then of the camera; -1 where there is none


def shard_index(shard: Path) -> ShardIndex:
    """From disk where a scan has left it, else by a scan."""
    status = regular_file(shard, "no such shard; restore it or leave it out").stat()
    stamp = np.array([FORMAT, status.st_size, status.st_mtime_ns])
    kept = (shard.with_name(f"{shard.name}.index.npz"), _in_users_cache(shard))
    for path in kept:
        index = _load(path, stamp)
        if index is not None and _fits(index, status.st_size):
            return index
    index, whole = scan(shard)
    if whole and not any(_save(path, index, stamp) for path in kept):
        threestudio.warn(f"{shard}: its index cannot be kept, beside it or in {kept[1].parent}; every start scans it")
    return index


def _fits(index: ShardIndex, size: int) -> bool:
    """Whether an index that lay on disk can be of this shard: one that cannot is made anew."""
    rows, starts, sizes = len(index.views), index.places[..., 0::2], index.places[..., 1::2]
    shaped = index.places.shape == (rows, 4) and index.first.shape == (len(index.names) + 1,)
    if not shaped or any(array.dtype.kind != "i" for array in (index.first, index.views, index.places)):
        return False
    ascending = (np.diff(index.first) >= 0).all() and index.first[0] == 0 and index.first[-1] == rows
    inside = ((starts >= -1) & (sizes >= -1) & (starts <= size) & (sizes <= size - starts)).all()
    return bool(ascending and inside and index.names.dtype.kind == "S")


def scan(shard: Path) -> tuple[ShardIndex, bool]:
    """Reads the headers only. What lies behind a broken one is lost, and said to be at every start: False."""
    found: dict[str, dict[int, list[int]]] = {}
    try:
        tar: Any = tarfile.open(shard, "r:")  # noqa: SIM115 (closed below; opening fails for other reasons than reading)
    except (tarfile.TarError, ValueError, OverflowError):
        raise UserError(f"{shard}: not an uncompressed tar; unpack it or leave it out") from None
    with tar:
        try:
            while (member := tar.next()) is not None:
                tar.members.clear()  # or all headers would stay in memory
                named = MEMBER.fullmatch(member.name)
                if member.size > shard.stat().st_size:
                    raise tarfile.ReadError(f"{member.name} is said to have {member.size} bytes")
                if named and member.isreg():
                    places = found.setdefault(named[1], {}).setdefault(int(named[2]), [-1] * 4)
                    start = 0 if named[3] == "png" else 2
                    places[start : start + 2] = member.offset_data, member.size
        except (tarfile.TarError, ValueError, OverflowError) as error:
            threestudio.warn(f"{shard}: {error} after {len(found)} objects; restore it to have the others")
            return _packed(found), False
    return _packed(found), True


def _packed(found: dict[str, dict[int, list[int]]]) -> ShardIndex:
    rows = [(view, *places) for views in found.values() for view, places in sorted(views.items())]
    table = np.array(rows, np.int64).reshape(-1, 5)
    return ShardIndex(
        np.array([name.encode() for name in found], np.bytes_),
        np.cumsum([0, *(len(views) for views in found.values())], dtype=np.int64),
        table[:, 0].astype(np.int16),
        table[:, 1:],
    )


def joined(indices: list[ShardIndex]) -> tuple[ShardIndex, Int[ndarray, "object"]]:
    """All shards' objects in one index, and which shard each is in."""
    rows = np.cumsum([0, *(len(index.views) for index in indices)])
    starts = [index.first[:-1] + before for index, before in zip(indices, rows[:-1], strict=True)]
    whole = ShardIndex(
        np.concatenate([index.names for index in indices]),
        np.concatenate([*starts, rows[-1:]]),
        np.concatenate([index.views for index in indices]),
        np.concatenate([index.places for index in indices]),
    )
    return whole, np.repeat(np.arange(len(indices)), [len(index.names) for index in indices])


def _in_users_cache(shard: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(shard.resolve())).hexdigest()[:24]
    return cache / "cascade-zero123" / "shards" / f"{name}.npz"


def _load(path: Path, stamp: Int[ndarray, "3"]) -> ShardIndex | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not np.array_equal(stored["stamp"], stamp):
                return None
            return ShardIndex(*(stored[field.name] for field in fields(ShardIndex)))
    except Exception:  # whatever a damaged file makes of its reading: the shard is scanned again
        return None


def _save(path: Path, index: ShardIndex, stamp: Int[ndarray, "3"]) -> bool:
    """Whether it could be written; appears whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            np.savez(file, stamp=stamp, **{field.name: getattr(index, field.name) for field in fields(ShardIndex)})
        os.replace(unfinished, path)
    except OSError:
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    return True
