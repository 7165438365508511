"""A folder of meshes to a folder of views for each, as Zero-1-to-3's renderings lie."""

import argparse
import shutil
import sys
import zlib
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from PIL import Image

from studies.reconstruction.engine import WorkerDied
from studies.rendering.engines import work
from studies.rendering.record import keep_settings
from studies.rendering.shards import write_shards
from studies.rendering.views import render
from threestudio.cameras import world_from_gltf
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_folder, atomic_path

MESH_SUFFIXES = (".glb", ".gltf", ".obj")
SETTINGS = ("views", "size", "fovy_deg", "distance", "elevation_range", "layout", "shading", "supersample", "seed")
LISTED_AT_THE_END = 20


def render_folder(options: argparse.Namespace) -> int:
    if not options.in_dir.is_dir():
        raise UserError(f"{options.in_dir}: no such folder")
    names = mesh_names(options.in_dir)
    options.out_dir.mkdir(parents=True, exist_ok=True)
    keep_settings(options.out_dir / "meta.json", settings_of(options), "OUT_DIR")
    waiting = {name: path for name, path in names.items() if not complete(options.out_dir / name, options.views)}
    print(f"{len(names)} meshes, {len(names) - len(waiting)} already rendered")
    failures = []
    for (_, path), outcome in work(partial(render_file, options=options), list(waiting.items()), options):
        if isinstance(outcome, WorkerDied):
            failures.append(f"{path}: its worker {outcome}")
        elif outcome:
            failures.append(outcome)
    list_failures(sorted(failures), options.out_dir / "unreadable.txt", len(names))
    if len(failures) == len(names):
        return 2
    if options.shards:
        write_shards(options)
    return 0


def list_failures(failures: list[str], listing: Path, total: int) -> None:
    listing.unlink(missing_ok=True)
    if not failures:
        return
    with atomic_path(listing) as unfinished:
        unfinished.write_text("\n".join(failures) + "\n", encoding="utf-8")
    shown = failures[:LISTED_AT_THE_END] + ["..."] * (len(failures) > LISTED_AT_THE_END)
    print(f"{len(failures)} of {total} meshes could not be rendered; see {listing}", *shown, sep="\n", file=sys.stderr)


def mesh_names(folder: Path) -> dict[str, Path]:
    """Object id (path without suffix) to file."""
    names: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in MESH_SUFFIXES):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in names:
            raise UserError(f"{path}: same id as {names[name]}; rename one of them")
        names[name] = path
    if not names:
        raise UserError(f"{folder}: no mesh found; expected files ending in {', '.join(MESH_SUFFIXES)}")
    return names


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    return {key: getattr(options, key) for key in SETTINGS}


def complete(folder: Path, views: int) -> bool:
    return all((folder / f"{view:03d}{suffix}").is_file() for view in range(views) for suffix in (".png", ".npy"))


def render_file(item: tuple[str, Path], options: argparse.Namespace) -> str | None:
    """One mesh file to one folder, which appears only when complete; returns why it could not be rendered."""
    name, path = item
    folder = options.out_dir / name
    rng = np.random.default_rng([options.seed, zlib.crc32(name.encode())])
    # Parsers of mesh files raise whatever they stumble over; one bad file must not stop the others.
    try:
        images, cameras, _ = render(load_mesh(path), options, rng)
    except Exception as error:
        return f"{path}: {type(error).__name__}: {error}".replace("\n", " ")
    for left in [folder, *folder.parent.glob(f".{escape(folder.name)}.*.part")]:
        shutil.rmtree(left, ignore_errors=True)
    with atomic_folder(folder) as unfinished:
        for view, (image, camera) in enumerate(zip(images, cameras, strict=True)):
            Image.fromarray(image).save(unfinished / f"{view:03d}.png")
            np.save(unfinished / f"{view:03d}.npy", camera)
    return None


def load_mesh(path: Path) -> trimesh.Scene:
    """A mesh file (y up) as a scene with z up, its box centred, largest side 1."""
    scene = trimesh.load_scene(path)
    if not scene.geometry or scene.bounds is None or not np.isfinite(scene.bounds).all() or scene.extents.max() <= 0:
        raise ValueError("no surface in the file")
    turn = np.eye(4)
    turn[:3, :3] = world_from_gltf(torch.eye(3, dtype=torch.float64)).T.numpy()
    scale = np.diag([*(1 / scene.extents.max(),) * 3, 1.0])
    centre = np.eye(4)
    centre[:3, 3] = -scene.bounds.mean(axis=0)
    scene.apply_transform(turn @ scale @ centre)
    return scene
