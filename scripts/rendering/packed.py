"""Generated objects to arrays that are mapped into memory, without files in between."""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
from cascade_zero123.objects import drawn_family, make_object, object_seed
from reconstruction.engine import WorkerDied

from rendering.engines import work
from rendering.record import keep_settings, refuse_others
from rendering.views import render
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path

SETTINGS = (
    "views",
    "size",
    "fovy_deg",
    "distance",
    "elevation_range",
    "layout",
    "shading",
    "supersample",
    "detail",
    "seed",
    "split",
)


def render_generated(options: argparse.Namespace) -> int:
    out_dir = options.packed
    settings = {key: getattr(options, key) for key in SETTINGS} | {"objects": options.generate}
    if (out_dir / "meta.json").is_file():
        refuse_others(out_dir / "meta.json", settings, "--packed")
        print(f"{out_dir}: already complete")
        return 0
    keep_settings(out_dir / "unfinished.json", settings, "--packed")
    prepare_arrays(options)
    waiting = np.flatnonzero(~np.load(out_dir / "done.npy")).tolist()
    families: dict[int, str] = {}
    for index, outcome in work(partial(render_object, options=options), waiting, options):
        if isinstance(outcome, WorkerDied):
            raise UserError(f"{out_dir}: object {index}: its worker {outcome}; the same command goes on from there")
        families[index] = outcome
    with atomic_path(out_dir / "meta.json") as unfinished:
        unfinished.write_text(json.dumps(settings | {"families": family_list(options, families)}, indent=1))
    for name in ("done.npy", "unfinished.json"):
        (out_dir / name).unlink()
    return 0


def prepare_arrays(options: argparse.Namespace) -> None:
    out_dir = options.packed
    out_dir.mkdir(parents=True, exist_ok=True)
    size, head = options.size, (options.generate, options.views)
    arrays = {
        "images": ((*head, size, size, 4), np.uint8),
        "cameras": ((*head, 3, 4), np.float32),
        "angles": ((*head, 3), np.float32),
        "done": ((options.generate,), bool),
    }
    for name, (shape, dtype) in arrays.items():
        prepare(out_dir / f"{name}.npy", shape, dtype)


def prepare(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    """An array of zeros on disk, unless the one of an interrupted run is there."""
    if not path.is_file():
        np.lib.format.open_memmap(path, "w+", dtype, shape).flush()
    elif np.load(path, mmap_mode="r").shape != shape:
        raise UserError(f"{path}: shape {np.load(path, mmap_mode='r').shape} of another run, not {shape}; remove it")


def render_object(index: int, options: argparse.Namespace) -> str:
    """Renders one generated object into its place in the arrays; returns its family."""
    seed = object_seed(options.split, index)
    mesh = make_object(seed, detail=options.detail)
    results = render(mesh, options, np.random.default_rng([options.seed, seed, 2]))
    for name, value in zip(("images", "cameras", "angles"), results, strict=True):
        np.load(options.packed / f"{name}.npy", mmap_mode="r+")[index] = value
    np.load(options.packed / "done.npy", mmap_mode="r+")[index] = True
    return mesh.metadata["family"]


def family_list(options: argparse.Namespace, known: dict[int, str]) -> list[str]:
    return [known.get(index) or drawn_family(object_seed(options.split, index)) for index in range(options.generate)]
