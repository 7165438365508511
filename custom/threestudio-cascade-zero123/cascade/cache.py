"""Self-prompted views on disk: the same picture, weights, poses and sampling settings are sampled once.

An entry is one safetensors file, named after its key, with the views as 8-bit RGB and a digest of them in its header.
It is written beside its place and then renamed, so that an interrupted run leaves no half entry.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = 1
READ_WHOLE_MB = 64  # larger weights files are told apart by name, size and time of change


def weights_fingerprint(files: list[Path]) -> str:
    """Changes when any of the files does; reads the content of small files only."""
    digest = hashlib.sha256()
    for file in sorted(files):
        status = file.stat()
        digest.update(f"{file.name}:{status.st_size}:".encode())
        if status.st_size <= READ_WHOLE_MB << 20:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        else:
            digest.update(str(status.st_mtime_ns).encode())
    return digest.hexdigest()


def cache_key(picture: Tensor, **ingredients: Any) -> str:
    """`picture` enters by its content; the rest (weights, poses, steps, scale, seed) by its JSON."""
    text = json.dumps({"format": FORMAT, "picture": _digest(picture), **ingredients}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class ViewCache:
    """`folder` is made when the first entry is stored; None keeps nothing."""

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = Path(folder) if folder else None

    def path(self, key: str) -> Path | None:
        return self.folder / f"{key}.safetensors" if self.folder else None

    def load(self, key: str) -> UInt8[Tensor, "view channel h w"] | None:
        """The views, or None where there is no entry. A damaged one raises ValueError, to be sampled again."""
        path = self.path(key)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                views, digest = file.get_tensor("views"), (file.metadata() or {}).get("digest")
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path}: not a readable cache entry ({error})") from error
        if views.dtype != torch.uint8 or views.ndim != 4 or digest != _digest(views):
            raise ValueError(f"{path}: the views do not match their digest")
        return views

    def store(self, key: str, views: UInt8[Tensor, "view channel h w"]) -> None:
        """Raises OSError where the folder cannot be written."""
        path = self.path(key)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{key}.")
        os.close(handle)
        try:
            save_file({"views": views.cpu().contiguous()}, unfinished, {"digest": _digest(views)})
            os.replace(unfinished, path)
        except SafetensorError as error:
            raise OSError(f"{path}: {error}") from error
        finally:
            Path(unfinished).unlink(missing_ok=True)


def _digest(tensor: Tensor) -> str:
    array = tensor.detach().cpu().contiguous().numpy()
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
