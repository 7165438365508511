"""Meshes in, posed pictures out: the views that Zero-1-to-3 and Cascade-Zero123 are trained on.

    python scripts/render_views.py MESH_DIR OUT_DIR [--shards 1000] [--engine ray --address auto]
    python scripts/render_views.py --generate 6000 --split train --packed OUT_DIR --layout cascade
    python scripts/render_views.py MESH_DIR --packed OUT_DIR --layout cascade [--variants 8]

The first turns a folder of GLB, glTF and OBJ files (y up; scaled to a centred box with largest side 1) into
OUT_DIR/<id>/000.png, RGBA with straight alpha, and 000.npy, the 3x4 world-to-camera matrix (world z up, OpenGL camera
axes), as in Zero-1-to-3's renderings, whose 12 views, field of view and distances are the defaults; what cannot be read
is left out and listed in OUT_DIR/unreadable.txt. --shards packs the objects as WebDataset shards too, in
OUT_DIR/shards. The others render generated objects, or such a folder (each mesh as it is, or in some variants:
mirrored, stretched, recoloured, in other light), into arrays to be memory-mapped: images.npy uint8 [object view h w 4],
cameras.npy float32 [object view 3 4], angles.npy float32 [object view 3] (elevation and azimuth in degrees, distance)
and, when all is there, meta.json. All go on where they were stopped.
"""

import argparse
import sys
from pathlib import Path

from cascade_zero123.cascade.stages import NEARBY_DEG

from studies.rendering.views import DEFAULTS, SOURCE_ELEVATION_DEG
from threestudio.errors import UserError
from threestudio.utils.console import one_line


def main(arguments: list[str] | None = None) -> int:
    try:
        options = parsed(arguments)
        if options.packed:
            from studies.rendering.packed import render_packed

            return render_packed(options)
        from studies.rendering.folder import render_folder

        return render_folder(options)
    except (UserError, OSError) as error:
        if one_line(error) is None:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("in_dir", nargs="?", type=Path, help="folder of GLB, glTF or OBJ files, searched recursively")
    parser.add_argument("out_dir", nargs="?", type=Path)
    parser.add_argument(
        "--layout",
        choices=tuple(DEFAULTS),
        default="random",
        help="random: Zero-1-to-3's cameras; cascade: those of the model that ships here, and view 0 is a source view, "
        "1 to 3 its nearby poses, the others random",
    )
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--size", type=int, help=f"pixels {by_layout('size')}")
    parser.add_argument("--fovy-deg", type=float, help=by_layout("fovy_deg"))
    parser.add_argument("--distance", type=float, nargs=2, metavar=("LOW", "HIGH"), help=by_layout("distance"))
    parser.add_argument(
        "--elevation-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help=f"degrees; None: all around, as points in a cube {by_layout('elevation_range')}",
    )
    parser.add_argument(
        "--source-elevation-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help=f"degrees, of view 0 of the layout cascade [{SOURCE_ELEVATION_DEG}]",
    )
    parser.add_argument("--shading", choices=("albedo", "diffuse"), default="diffuse")
    parser.add_argument("--supersample", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the camera poses")
    parser.add_argument("--workers", type=int, help="[all cores]")
    parser.add_argument("--engine", choices=("processes", "ray"), default="processes")
    parser.add_argument("--address", help="of a Ray cluster, e.g. auto [starts Ray on this machine]")
    parser.add_argument("--shards", type=int, metavar="N", help="pack OUT_DIR in OUT_DIR/shards, N objects a shard")
    parser.add_argument("--generate", type=int, metavar="N", help="render N generated objects")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="of the generated objects")
    parser.add_argument("--detail", type=float, default=1.5, help="fineness of the generated meshes")
    parser.add_argument("--packed", type=Path, metavar="OUT_DIR", help="where arrays go, in place of OUT_DIR's files")
    parser.add_argument("--variants", type=int, metavar="N", help="of each mesh; none: each as it is")
    return parser


def by_layout(key: str) -> str:
    return "[" + "; ".join(f"{layout}: {values[key]}" for layout, values in DEFAULTS.items()) + "]"


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """With the layout's defaults, and paths that hold on other machines too."""
    options = parser().parse_args(arguments)
    for key, value in DEFAULTS[options.layout].items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    check(options)
    for key in ("in_dir", "out_dir", "packed"):
        if options.engine == "ray" and getattr(options, key) is not None:
            setattr(options, key, getattr(options, key).resolve())
    return options


def check(options: argparse.Namespace) -> None:
    if options.generate and options.packed is None:
        raise UserError("--generate needs --packed OUT_DIR")
    if not options.generate and (options.in_dir is None or (options.out_dir is None) == (options.packed is None)):
        raise UserError("give MESH_DIR and OUT_DIR, MESH_DIR and --packed OUT_DIR, or --generate N --packed OUT_DIR")
    if options.packed and (options.engine == "ray" or options.shards):
        raise UserError("--packed writes arrays, on this machine only; leave out --engine ray and --shards")
    if options.variants and (options.generate or not options.packed):
        raise UserError("--variants is for MESH_DIR --packed OUT_DIR")
    if options.layout == "cascade" and options.views < 1 + len(NEARBY_DEG):
        raise UserError(f"--layout cascade needs --views of at least {1 + len(NEARBY_DEG)}, not {options.views}")
    for key in ("views", "size", "supersample", "workers", "shards", "generate", "variants"):
        value = getattr(options, key)
        if value is not None and value < 1:
            raise UserError(f"--{key} {value}; expected at least 1")
    if options.views > 1000:
        raise UserError(f"--views {options.views}; expected at most 1000, since file names have three digits")
    if options.seed < 0:
        raise UserError(f"--seed {options.seed}; expected 0 or more")
    if not 0 < options.fovy_deg < 180:
        raise UserError(f"--fovy-deg {options.fovy_deg:g}; expected degrees between 0 and 180")
    if not 0 < options.distance[0] <= options.distance[1]:
        raise UserError(f"--distance {options.distance[0]:g} {options.distance[1]:g}; expected 0 < LOW <= HIGH")
