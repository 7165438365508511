"""The tensors of a weights file by name, whatever its format; nothing in the file is executed.

    tensors = open_tensors(Path("zero123-xl.ckpt"))     names, shapes and places only
    tensors["cc_projection.weight"].read()              that tensor alone

Safetensors and PyTorch's zip format (.ckpt, .pt, .bin) are told apart by their content, not by their suffix.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ...common.errors import UserError, one_line
from ...common.files import regular_file
from .stored_tensor import MappedFile, StoredTensor, contiguous_strides
from .torch_pickle import zip_tensors

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
LONGEST_HEADER = 100_000_000  # bytes: safetensors' own limit
# What stands in a weights file's place, by its first bytes.
LOOKALIKES = {
    b"version https://git-lfs": "a git-lfs pointer; fetch the file itself (git lfs pull)",
    b"<": "a web page; the download was answered with an error",
    b"\x80": "in the format of PyTorch before 1.6; load it with PyTorch and save it once more",
}


def open_tensors(path: Path) -> dict[str, Any]:
    """StoredTensors by name; a name may also carry something else that was stored in a tensor's place."""
    regular_file(path)
    try:
        with open(path, "rb") as file:
            head = file.read(64)
        if not head:
            raise UserError(f"{path}: empty")
        zipped = head.startswith(b"PK\x03\x04")
        tensors = zip_tensors(MappedFile(path)) if zipped else _safetensors(path, head)
    except OSError as error:
        raise UserError(f"{path}: {one_line(error)}") from error
    for name in tensors:
        if not name.isprintable():
            raise UserError(f"{path}: a tensor is called {ascii(name)}; the file is damaged")
    return tensors


def _safetensors(path: Path, head: bytes) -> dict[str, StoredTensor]:
    """The library checks the header against the file's size; the places are read from the header itself."""
    try:
        with safe_open(path, framework="pt"):
            pass
    except SafetensorError as error:
        raise UserError(f"{path}: {_fault(path, head, one_line(error))}") from error
    file = MappedFile(path)
    length = int.from_bytes(file.bytes[:8], "little")
    header = json.loads(file.bytes[8 : 8 + length])
    header.pop("__metadata__", None)
    return {name: _stored(file, 8 + length, name, entry) for name, entry in header.items()}


def _fault(path: Path, head: bytes, said: str) -> str:
    """What is wrong with a file that is no whole safetensors; of a truncated one the first tensor that is not there."""
    if head[8:9] != b"{":
        known = next((what for start, what in LOOKALIKES.items() if head.startswith(start)), None)
        return known or f"neither a safetensors nor a PyTorch file ({said}); fetch it again"
    size, length = path.stat().st_size, int.from_bytes(head[:8], "little")
    unknown = f"truncated or damaged ({said}); fetch it again"
    if 8 + length > size or length > LONGEST_HEADER:
        return unknown
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(8 + length)[8:])
        header.pop("__metadata__", None)
        ends = {name: 8 + length + entry["data_offsets"][1] for name, entry in header.items()}
        missing = min((end, name) for name, end in ends.items() if end > size)[1]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        return unknown
    found = f"{size / 1e6:.1f} MB of {max(ends.values()) / 1e6:.1f} MB"
    return f"truncated ({found} by its index; {missing} is the first tensor that is not whole); fetch it again"


def _stored(file: MappedFile, data: int, name: str, entry: dict[str, Any]) -> StoredTensor:
    if entry["dtype"] not in DTYPES:
        raise UserError(f"{file.path}: {name} is {entry['dtype']}; known are {', '.join(DTYPES)}")
    shape = tuple(entry["shape"])
    offset = data + entry["data_offsets"][0]
    return StoredTensor(file, name, DTYPES[entry["dtype"]], offset, 0, shape, contiguous_strides(shape))
