"""Meshes in, posed pictures out: the views that Zero-1-to-3 and Cascade-Zero123 are trained on.

    python scripts/render_views.py MESH_DIR OUT_DIR
    python scripts/render_views.py --generate 6000 --split train --packed OUT_DIR --layout cascade

The first turns a folder of GLB, glTF and OBJ files (y up; scaled to a centred box with largest side 1) into
OUT_DIR/<id>/000.png, RGBA with straight alpha, and 000.npy, the 3x4 world-to-camera matrix (world z up, OpenGL camera
axes), as in Zero-1-to-3's renderings. The second renders generated objects, without files in between, into arrays to be
memory-mapped: images.npy uint8 [object view h w 4], cameras.npy float32 [object view 3 4], angles.npy float32
[object view 3] (elevation and azimuth in degrees, distance) and, when all is there, meta.json. Both go on where they
were stopped.
"""

import argparse
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
import trimesh
from cascade_zero123.cascade.prompt_views import NEARBY_DEG
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from tqdm import tqdm

from threestudio.cameras import orbit, world_from_gltf
from threestudio.errors import UserError
from threestudio.models.mesh_renderer import render_mesh
from threestudio.utils.atomic import atomic_path

MESH_SUFFIXES = (".glb", ".gltf", ".obj")
FRONT_HALF_WIDTH_DEG = 50.0
SOURCE_ELEVATION_DEG = (-5.0, 25.0)


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        check(options)
        return render_generated(options) if options.generate else render_folder(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("in_dir", nargs="?", type=Path, help="folder of GLB, glTF or OBJ files, searched recursively")
    parser.add_argument("out_dir", nargs="?", type=Path)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--fovy-deg", type=float, default=20.0)
    parser.add_argument("--distance", type=float, nargs=2, default=(3.8, 3.8), metavar=("LOW", "HIGH"))
    parser.add_argument(
        "--elevation-range", type=float, nargs=2, default=(-10.0, 60.0), metavar=("LOW", "HIGH"), help="degrees"
    )
    parser.add_argument(
        "--layout",
        choices=("random", "cascade"),
        default="random",
        help="cascade: view 0 is a source view, 1 to 3 its nearby poses, the others random",
    )
    parser.add_argument("--shading", choices=("albedo", "diffuse"), default="diffuse")
    parser.add_argument("--supersample", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the camera poses")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--generate", type=int, metavar="N", help="render N generated objects")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="of the generated objects")
    parser.add_argument("--detail", type=float, default=1.5, help="fineness of the generated meshes")
    parser.add_argument("--packed", type=Path, metavar="OUT_DIR", help="where the arrays of --generate go")
    return parser


def check(options: argparse.Namespace) -> None:
    if options.generate and options.packed is None:
        raise UserError("--generate needs --packed OUT_DIR")
    if not options.generate and (options.in_dir is None or options.out_dir is None):
        raise UserError("give MESH_DIR and OUT_DIR, or --generate N --packed OUT_DIR")
    if options.layout == "cascade" and options.views < 1 + len(NEARBY_DEG):
        raise UserError(f"--layout cascade needs --views of at least {1 + len(NEARBY_DEG)}, not {options.views}")


def view_angles(options: argparse.Namespace, rng: np.random.Generator) -> Float[ndarray, "view 3"]:
    """(elevation, azimuth in degrees, distance) of one object's views."""
    angles = np.stack(
        [
            rng.uniform(*options.elevation_range, options.views),
            rng.uniform(-180.0, 180.0, options.views),
            rng.uniform(*options.distance, options.views),
        ],
        axis=1,
    )
    if options.layout == "cascade":
        # People photograph fronts, so half of the sources are near one; the others keep the model from relying on it.
        half_width = FRONT_HALF_WIDTH_DEG if rng.uniform() < 0.5 else 180.0
        source = np.array([rng.uniform(*SOURCE_ELEVATION_DEG), rng.uniform(-half_width, half_width), angles[0, 2]])
        angles[0] = source
        for row, (azimuth, elevation) in enumerate(NEARBY_DEG, start=1):
            angles[row] = source + (elevation, azimuth, 0.0)
    return angles


def render(
    mesh: trimesh.Trimesh | trimesh.Scene, options: argparse.Namespace, rng: np.random.Generator
) -> tuple[UInt8[ndarray, "view h w 4"], Float[ndarray, "view 3 4"], Float[ndarray, "view 3"]]:
    """Pictures, world-to-camera matrices and angles of one object; the light is the same in all its views."""
    torch.set_num_threads(1)
    angles = view_angles(options, rng)
    c2w = orbit(*torch.from_numpy(angles).T)
    light = rng.uniform(-180.0, 180.0)
    size = options.size
    images = render_mesh(mesh, c2w, options.fovy_deg, size, size, options.supersample, options.shading, light)
    return images, torch.linalg.inv(c2w)[:, :3].float().numpy(), angles.astype(np.float32)


def render_folder(options: argparse.Namespace) -> int:
    if not options.in_dir.is_dir():
        raise UserError(f"{options.in_dir}: no such folder")
    names = mesh_names(options.in_dir)
    options.out_dir.mkdir(parents=True, exist_ok=True)
    waiting = {name: path for name, path in names.items() if not complete(options.out_dir / name, options.views)}
    print(f"{len(names)} meshes, {len(names) - len(waiting)} already rendered")
    task = partial(render_file, options=options)
    failures = [line for line in in_processes(task, list(waiting.items()), options.workers) if line]
    listing = options.out_dir / "unreadable.txt"
    listing.unlink(missing_ok=True)
    if failures:
        listing.write_text("\n".join(failures) + "\n")
        print(f"{len(failures)} of {len(names)} meshes could not be rendered; see {listing}", file=sys.stderr)
    return 2 if failures and len(failures) == len(names) else 0


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


def complete(folder: Path, views: int) -> bool:
    return all((folder / f"{view:03d}{suffix}").is_file() for view in range(views) for suffix in (".png", ".npy"))


def render_file(item: tuple[str, Path], options: argparse.Namespace) -> str | None:
    """One mesh file to one folder, which appears only when complete; returns why it could not be rendered."""
    name, path = item
    folder = options.out_dir / name
    unfinished = folder.with_name(f".{folder.name}.partial")
    rng = np.random.default_rng([options.seed, zlib.crc32(name.encode())])
    # Parsers of mesh files raise whatever they stumble over; one bad file must not stop the others.
    try:
        images, cameras, _ = render(load_mesh(path), options, rng)
    except Exception as error:
        return f"{path}: {type(error).__name__}: {error}".replace("\n", " ")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for view, (image, camera) in enumerate(zip(images, cameras, strict=True)):
        Image.fromarray(image).save(unfinished / f"{view:03d}.png")
        np.save(unfinished / f"{view:03d}.npy", camera)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
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


def render_generated(options: argparse.Namespace) -> int:
    out_dir = options.packed
    if (out_dir / "meta.json").is_file():
        print(f"{out_dir}: already complete")
        return 0
    prepare_arrays(options)
    waiting = np.flatnonzero(~np.load(out_dir / "done.npy")).tolist()
    families = dict(in_processes(partial(render_object, options=options), waiting, options.workers))
    settings = {key: getattr(options, key) for key in SETTINGS}
    meta = settings | {"objects": options.generate, "families": family_list(options, families)}
    with atomic_path(out_dir / "meta.json") as unfinished:
        unfinished.write_text(json.dumps(meta, indent=1))
    (out_dir / "done.npy").unlink()
    return 0


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


def render_object(index: int, options: argparse.Namespace) -> tuple[int, str]:
    """Renders one generated object into its place in the arrays; returns its index and family."""
    from cascade_zero123.objects import make_object, object_seed

    seed = object_seed(options.split, index)
    mesh = make_object(seed, detail=options.detail)
    results = render(mesh, options, np.random.default_rng([options.seed, seed, 2]))
    for name, value in zip(("images", "cameras", "angles"), results, strict=True):
        np.load(options.packed / f"{name}.npy", mmap_mode="r+")[index] = value
    np.load(options.packed / "done.npy", mmap_mode="r+")[index] = True
    return index, mesh.metadata["family"]


def family_list(options: argparse.Namespace, known: dict[int, str]) -> list[str]:
    from cascade_zero123.objects import drawn_family, object_seed

    return [known.get(index) or drawn_family(object_seed(options.split, index)) for index in range(options.generate)]


def in_processes(task: partial, items: list, workers: int) -> Iterable:
    """The task's results over the items, with a progress bar; in this process when one worker is asked for."""
    if workers <= 1:
        yield from tqdm(map(task, items), total=len(items), unit="object")
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from tqdm(pool.map(task, items, chunksize=4), total=len(items), unit="object")


if __name__ == "__main__":
    sys.exit(main())
