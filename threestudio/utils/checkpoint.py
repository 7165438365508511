"""Checkpoints in and out: written whole or not at all, read without executing anything."""

import errno
import os
import pickle
import reprlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.files import regular_file
from threestudio.utils.pickle_nesting import nests_too_deep

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
    refuse_odd_weights(path, weights)
    epoch, step = checkpoint.get("epoch", 0), checkpoint.get("global_step", 0)
    refuse_other_kind(path, "epoch", epoch, int)
    refuse_other_kind(path, "global_step", step, int)
    if module_name is not None:
        prefix = f"{module_name}."
        weights = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        if not weights:
            raise UserError(f'{path}: has no module "{module_name}"')
    ignored = tuple(f"{name}." for name in ignore_modules or ())
    weights = {key: value for key, value in weights.items() if not key.startswith(ignored)} if ignored else weights
    return weights, epoch, step


def refuse_odd_weights(path: str | os.PathLike[str], state_dict: dict[Any, Any]) -> None:
    """Of a state dict: what are no tensors, do not lie in the file, or are not finite."""
    for name, value in state_dict.items():
        refuse_other_kind(path, "state_dict: a name", name, str)
        key = f"state_dict: {name}"
        refuse_other_kind(path, key, value, Tensor)
        plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
        # One that repeats a number can be of any size.
        if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UserError(f"{path}: {key} does not lie in the file as weights do; {REMEDY}")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise UserError(f"{path}: {key} holds values that are not finite; {REMEDY}")


def refuse_other_kind(path: str | os.PathLike[str], key: str, value: Any, kind: type) -> None:
    """A number counts from 0 on."""
    if type(value) is bool or not isinstance(value, kind) or (isinstance(value, int) and value < 0):
        expected = "a whole number from 0 on" if kind is int else f"a {kind.__name__}"
        raise UserError(f"{path}: {key} is {reprlib.repr(value):.40}, expected {expected}; {REMEDY}")


def _check_archive(path: Path) -> None:
    """torch.save writes a zip whose index stands at its end, so a cut-off file has lost exactly that."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(4)
    if size == 0:
        raise UserError(f"{path}: empty; {REMEDY}")
    if head != b"PK\x03\x04":
        raise UserError(f"{path}: not a checkpoint; {REMEDY}")
    try:
        if not zipfile.is_zipfile(path):  # which raises, too, for an index that says what cannot be
            raise UserError(f"{path}: truncated (its index is missing after {size / 1e6:.1f} MB); {REMEDY}")
        with zipfile.ZipFile(path) as archive:
            _refuse_inflation(path, archive, size)
            broken = archive.testzip()
            _refuse_nesting(path, archive)
    except UserError:
        raise
    except (zipfile.BadZipFile, ValueError, LookupError, EOFError, NotImplementedError, zlib.error) as error:
        raise UserError(f"{path}: damaged ({_first_line(error)}); {REMEDY}") from None
    if broken is not None:
        raise UserError(f"{path}: damaged (checksum of {broken}); {REMEDY}")


def _refuse_inflation(path: Path, archive: zipfile.ZipFile, size: int) -> None:
    """torch.save compresses nothing, so that a file takes no more memory than it has bytes."""
    for record in archive.infolist():
        if record.compress_type != zipfile.ZIP_STORED:
            raise UserError(
                f"{path}: {record.filename} is compressed, {record.file_size / 1e6:.1f} MB in "
                f"{record.compress_size / 1e6:.1f} MB, which no checkpoint is; {REMEDY}"
            )
    stated = sum(record.file_size for record in archive.infolist())
    if stated > size:
        raise UserError(f"{path}: states {stated / 1e6:.1f} MB of content in {size / 1e6:.1f} MB; {REMEDY}")


def _refuse_nesting(path: Path, archive: zipfile.ZipFile) -> None:
    for record in archive.infolist():
        if record.filename.endswith("data.pkl") and nests_too_deep(archive.read(record)):
            raise UserError(f"{path}: damaged (its index nests too deep); {REMEDY}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
