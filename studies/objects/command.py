"""Generated objects as GLB files, and the sample pictures with their true meshes.

    python scripts/make_objects.py OUT_DIR --count 100 --split test      # <split>-<index>.glb, y up
    python scripts/make_objects.py --sample cat cat.glb                  # the true mesh of load/images/cat.png
    python scripts/make_objects.py --sample cat cat.png                  # that picture itself

No object of one split is in another: --seed counts within the split. Colours are an image texture; with
--texture-size 0 they are vertex colours, stored as they are shown, without conversion to linear light.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image
from tqdm import tqdm

from studies.objects import family_names, make_object, object_seed
from studies.objects.samples import SAMPLES, make_sample
from threestudio.cameras import gltf_from_world, orbit
from threestudio.errors import UserError, nearest_name
from threestudio.mesh.renderer import render_mesh
from threestudio.utils.atomic import atomic_path

SEEDS = 10**9  # of a split; see object_seed
TEXTURE_SIZES = range(256, 8193)
PICTURE_SIZE = 512
PICTURE_ELEVATION_DEG = 10.0
PICTURE_AZIMUTH_DEG = 20.0
PICTURE_DISTANCE = 3.8
PICTURE_FOVY_DEG = 20.0


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if options.texture_size and options.texture_size not in TEXTURE_SIZES:
            expected = f"0 or {TEXTURE_SIZES.start} to {TEXTURE_SIZES.stop - 1}"
            raise UserError(f"--texture-size {options.texture_size}; expected {expected}")
        write_sample(options.sample, options.out, options.texture_size) if options.sample else write_objects(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder; with --sample a .glb or .png file")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="index of the first object within its split")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--family", help="make only this kind, e.g. teapot")
    parser.add_argument("--detail", type=float, default=1.5, help="fineness of the meshes")
    parser.add_argument("--texture-size", type=int, default=1024, help="texels a side; 0: vertex colours [1024]")
    parser.add_argument("--sample", choices=sorted(SAMPLES), help="one of the sample pictures' objects")
    return parser


def write_objects(options: argparse.Namespace) -> None:
    if options.family is not None and options.family not in family_names():
        raise UserError(f'no object family "{options.family}"; {nearest_name(options.family, family_names(), chr(34))}')
    if options.count < 1 or not 0 <= options.seed <= SEEDS - options.count:
        raise UserError(
            f"--count {options.count} --seed {options.seed}; expected one object or more, seeds from 0 below {SEEDS}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    for index in tqdm(range(options.seed, options.seed + options.count), unit="object"):
        seed = object_seed(options.split, index)
        mesh = make_object(seed, options.family, options.detail, options.texture_size or None)
        write_glb(options.out / f"{options.split}-{index:06d}.glb", mesh)


def write_sample(name: str, path: Path, texture_size: int) -> None:
    if path.suffix not in (".glb", ".png"):
        raise UserError(f"{path}: --sample writes a mesh (.glb) or a picture (.png), not {path.suffix or 'a folder'}")
    if path.suffix == ".glb":
        write_glb(path, make_sample(name, texture_size=texture_size or None))
        return
    with atomic_path(path) as partial:
        sample_picture(make_sample(name)).save(partial, optimize=True)


def sample_picture(mesh: trimesh.Trimesh) -> Image.Image:
    """The object from the front, a little from the side and from above, softly lit."""
    angles = torch.tensor([[PICTURE_ELEVATION_DEG], [PICTURE_AZIMUTH_DEG], [PICTURE_DISTANCE]])
    size = PICTURE_SIZE
    return Image.fromarray(render_mesh(mesh, orbit(*angles), PICTURE_FOVY_DEG, size, size, 3, "diffuse")[0])


def write_glb(path: Path, mesh: trimesh.Trimesh) -> None:
    turned = trimesh.Trimesh(
        gltf_from_world(torch.tensor(np.asarray(mesh.vertices))).numpy(),
        mesh.faces,
        vertex_normals=gltf_from_world(torch.tensor(np.asarray(mesh.vertex_normals))).numpy(),
        visual=mesh.visual,
        process=False,
    )
    with atomic_path(path) as partial:
        content = turned.export(file_type="glb")
        assert isinstance(content, bytes)
        partial.write_bytes(content)
