"""Rendered folders to WebDataset shards: OUT_DIR/shards/000000.tar and on, some objects each, in alphabetical order.

A shard is an uncompressed tar with members `<id>.000.npy`, `<id>.000.png`, ...: to WebDataset, one sample an object. It
appears only when complete; the same folders give the same bytes.
"""

import argparse
import tarfile
from functools import partial
from pathlib import Path

from cascade_zero123.training.shard_index import shard_index
from cascade_zero123.training.view_files import why_incomplete
from cascade_zero123.training.view_folders import ViewFolders
from cascade_zero123.training.view_shards import shards_in

from studies.reconstruction.engine import WorkerDied
from studies.rendering.engines import work
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path


def write_shards(options: argparse.Namespace) -> None:
    """All complete objects of OUT_DIR. What is there already stays; what no longer fits goes first."""
    folder = options.out_dir / "shards"
    folder.mkdir(exist_ok=True)
    wanted = planned(options.out_dir, options.views, options.shards)
    for path in shards_in(folder):
        if path.name not in wanted or not up_to_date(path, options.out_dir, wanted[path.name]):
            path.unlink()
            path.with_name(f"{path.name}.index.npz").unlink(missing_ok=True)
    missing = [(folder / name, ids) for name, ids in wanted.items() if not (folder / name).is_file()]
    print(f"{len(wanted)} shards, {len(wanted) - len(missing)} already written")
    for (path, _), outcome in work(partial(write_shard, views=options.out_dir), missing, options):
        if isinstance(outcome, WorkerDied):
            raise UserError(f"{path}: its worker {outcome}; the same command goes on from there")
    with atomic_path(folder / "meta.json") as unfinished:
        unfinished.write_bytes((options.out_dir / "meta.json").read_bytes())


def planned(out_dir: Path, view_count: int, per_shard: int) -> dict[str, list[str]]:
    """The ids in each shard."""
    objects = ViewFolders(out_dir)
    ids = [objects.name(i) for i in range(len(objects)) if not why_incomplete(objects.files(i), view_count)]
    starts = range(0, len(ids), per_shard)
    return {f"{start // per_shard:06d}.tar": ids[start : start + per_shard] for start in starts}


def up_to_date(shard: Path, views: Path, ids: list[str]) -> bool:
    """As `make` sees it."""
    held = [name.decode() for name in shard_index(shard).names]
    return held == ids and all((views / name).stat().st_mtime_ns <= shard.stat().st_mtime_ns for name in ids)


def write_shard(item: tuple[Path, list[str]], views: Path) -> None:
    path, ids = item
    with atomic_path(path) as unfinished, tarfile.open(unfinished, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in ids:
            for file in sorted((views / name).glob("[0-9][0-9][0-9].*")):
                header = tarfile.TarInfo(f"{name}.{file.name}")
                header.size = file.stat().st_size
                with open(file, "rb") as content:
                    tar.addfile(header, content)
    shard_index(path)  # once here, so that no training has to scan it
