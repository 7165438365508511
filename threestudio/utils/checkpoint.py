"""Checkpoints in and out: written whole or not at all, read without executing anything."""

import errno
import os
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.files import regular_file

REMEDY = "restore it or pass another resume="


def save_checkpoint(checkpoint: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes beside `path` and renames, so that an interrupted or failed write leaves the previous file intact."""
    with atomic_path(path) as partial:
        try:
            torch.save(checkpoint, partial)
        except RuntimeError as error:
            if "inline_container" not in str(error):
                raise
            # torch's writer of zip files does not say why it could not write; in practice the disk is full.
            raise OSError(errno.ENOSPC, str(error)) from error


def load_checkpoint(path: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """A Lightning checkpoint as a dict; refuses anything else by name. Nothing in the file is executed."""
    path = regular_file(path, "no such checkpoint; pass resume=<trial folder>/ckpts/last.ckpt")
    _check_archive(path)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(f"{path}: holds Python objects that are not loaded from a checkpoint; {REMEDY}") from None
    except Exception as error:  # whatever a damaged pickle makes of the stack that it is read with
        raise UserError(f"{path}: damaged ({_first_line(error)}); {REMEDY}") from None
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise UserError(f"{path}: not a training checkpoint (no state_dict in it); {REMEDY}")
    return checkpoint


def load_module_weights(
    path: str | os.PathLike[str],
    module_name: str | None = None,
    ignore_modules: list[str] | None = None,
    map_location: Any = "cpu",
) -> tuple[dict[str, Any], int, int]:
    """State dict, epoch and step of a checkpoint: of one module only, or of all but some."""
    if module_name is not None and ignore_modules is not None:
        raise ValueError("module_name and ignore_modules exclude each other")
    checkpoint = load_checkpoint(path, map_location)
    weights = checkpoint["state_dict"]
    if module_name is not None:
        prefix = f"{module_name}."
        weights = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        if not weights:
            raise UserError(f'{path}: has no module "{module_name}"')
    ignored = tuple(f"{name}." for name in ignore_modules or ())
    weights = {key: value for key, value in weights.items() if not key.startswith(ignored)} if ignored else weights
    return weights, int(checkpoint.get("epoch", 0)), int(checkpoint.get("global_step", 0))


def _check_archive(path: Path) -> None:
    """torch.save writes a zip whose index stands at its end, so a cut-off file has lost exactly that."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(4)
    if size == 0:
        raise UserError(f"{path}: empty; {REMEDY}")
    if head != b"PK\x03\x04":
        raise UserError(f"{path}: not a checkpoint; {REMEDY}")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: truncated (its index is missing after {size / 1e6:.1f} MB); {REMEDY}")
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_inflation(path, archive)
            broken = archive.testzip()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, zlib.error) as error:
        raise UserError(f"{path}: damaged ({_first_line(error)}); {REMEDY}") from None
    if broken is not None:
        raise UserError(f"{path}: damaged (checksum of {broken}); {REMEDY}")


def _refuse_inflation(path: Path, archive: zipfile.ZipFile) -> None:
    """torch.save compresses nothing, so that a file takes no more memory than it has bytes."""
    for record in archive.infolist():
        if record.compress_type != zipfile.ZIP_STORED:
            raise UserError(
                f"{path}: {record.filename} is compressed, {record.file_size / 1e6:.1f} MB in "
                f"{record.compress_size / 1e6:.1f} MB, which no checkpoint is; {REMEDY}"
            )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
