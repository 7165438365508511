"""Zero-1-to-3 weights from one layout into another, bit by bit the same unless a dtype is asked for.

    python scripts/convert_checkpoint.py zero123-xl.ckpt zero123-xl [--config LDM.yaml] [--dtype float16]
    python scripts/convert_checkpoint.py MODEL trained.ckpt --to ldm --template zero123-xl.ckpt

The first makes a folder of what a checkpoint's model is (its moving average, where it has one), without optimizer and
other leftovers: unet/, vae/, image_encoder/ and scheduler/ load with diffusers' and transformers' `from_pretrained`.
The second puts a model, such as a trained Refiner, into a checkpoint that other tools read; the template gives the
layout and whatever else such a file holds. MODEL may be anything that `system.guidance.base.weights` takes.
"""

import argparse
import sys
from pathlib import Path

import torch
import transformers
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.model import Zero123
from cascade_zero123.zero123.pose import POSE_TOKENS
from cascade_zero123.zero123.weights.ldm_checkpoint import save_ldm
from cascade_zero123.zero123.weights.loading import load_zero123, pose_token_by_name, save_zero123
from safetensors import SafetensorError

from threestudio.utils.atomic import atomic_path
from threestudio.utils.console import one_line

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    transformers.logging.disable_progress_bar()
    try:
        check(options)
        to_ldm(options) if options.to == "ldm" else to_folder(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (OSError, SafetensorError, RuntimeError) as error:
        # torch's writer of zip files does not say why it could not write.
        zip_writer = isinstance(error, RuntimeError) and "inline_container" in str(error)
        if isinstance(error, RuntimeError) and not zip_writer:
            raise
        said = one_line(error) if getattr(error, "filename", None) else None
        reason = "the disk is full, most likely" if zip_writer else getattr(error, "strerror", None) or error
        print(f"error: {said or f'{options.out}: not written ({reason})'}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; {options.out} was not written", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint, folder or hub id")
    parser.add_argument("out", type=Path, help="folder; with --to ldm a .ckpt or .safetensors file")
    parser.add_argument("--to", choices=("folder", "ldm"), default="folder")
    parser.add_argument("--config", help="LDM YAML, for a checkpoint of other widths than the published ones")
    parser.add_argument("--pose-token", choices=POSE_TOKENS, help="where the file's name does not say it")
    parser.add_argument("--dtype", choices=tuple(DTYPES), help="as stored, unless given")
    parser.add_argument("--template", type=Path, help="for --to ldm: a checkpoint of the layout to write")
    return parser


def check(options: argparse.Namespace) -> None:
    """Mistakes are told before gigabytes are read."""
    if options.out.exists():
        raise UserError(f"{options.out}: exists already; remove it or name another place")
    if options.to == "ldm" and options.template is None:
        raise UserError("--to ldm needs --template, an original checkpoint whose layout is written")
    if options.to == "ldm" and not options.template.is_file():
        found = "a folder" if options.template.is_dir() else "no such file"
        raise UserError(f"{options.template}: {found}; --template names an original checkpoint")
    if options.to == "ldm" and options.out.suffix not in (".ckpt", ".safetensors"):
        raise UserError(f"{options.out}: --to ldm writes a .ckpt or a .safetensors file")
    if options.to == "folder" and options.template is not None:
        raise UserError("--template is for --to ldm")


def to_folder(options: argparse.Namespace) -> None:
    model = read_model(options)
    save_zero123(model, options.out)
    print(f"{options.out}: pose token {model.settings.pose_token}, {gigabytes(options.out)}, from {options.model}")


def to_ldm(options: argparse.Namespace) -> None:
    model = read_model(options)
    with atomic_path(options.out) as partial:
        partial.touch()  # the writers of tensors do not say why they cannot open a file
        mode = partial.stat().st_mode
        left_out = save_ldm(model, options.template, partial)
        partial.chmod(mode)  # safetensors lets only the owner read
    print(f"{options.out}: {gigabytes(options.out)}, from {options.model} in the layout of {options.template}")
    if left_out:
        print(f"{options.out}: without what is no tensor of real numbers in the template: {', '.join(left_out)}")
    token = model.settings.pose_token
    if token != pose_token_by_name(options.out):
        print(f"{options.out}: its name does not say that its pose token is {token}; tell what reads it (pose_token)")


def read_model(options: argparse.Namespace) -> Zero123:
    dtype = DTYPES[options.dtype] if options.dtype else None
    return load_zero123(options.model, dtype=dtype, config=options.config, pose_token=options.pose_token)


def gigabytes(path: Path) -> str:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e9:.2f} GB"
