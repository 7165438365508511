"""PyTorch's zip format, read without running anything that the file asks for.

Published checkpoints carry Lightning's bookkeeping (callbacks, OmegaConf objects, numpy scalars) beside the weights;
`torch.load(weights_only=True)` refuses the whole file for that, and anything less would run the file's code. Here the
pickle is walked with a table of names: tensors become `StoredTensor`s, plain containers themselves, and any other class
an inert object that is never imported. A name that only makes sense to be run (`os.system`, `builtins.eval`, a function
of a library that is no bookkeeping) is refused, with the file's name.
"""

import _compat_pickle
import builtins
import collections
import pickle
import sys
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from types import FunctionType
from typing import Any

import torch

from ...common.errors import UserError, one_line
from ..pickle_nesting import nests_too_deep
from .stored_tensor import MappedFile, StoredTensor, element_size

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
CONTAINERS = {"set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bool", "str", "bytes", "object"}
# The systems' names of `os`.
RENAMED = {"posix": "os", "nt": "os"}
# Of the standard library, only what holds data.
DATA_MODULES = {"datetime", "pathlib", "enum", "typing", "decimal", "fractions", "uuid", "numbers", "collections"}
DATA_NAMES = {
    "argparse.Namespace",
    "types.SimpleNamespace",
    "functools.partial",
    "copyreg._reconstructor",
    "_codecs.encode",
    "builtins.type",
}
# Other libraries whose objects Lightning keeps in checkpoints by calling their names.
BOOKKEEPERS = {"pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities", "omegaconf", "torchmetrics"}
NUMPY_DATA = {"scalar", "_reconstruct", "dtype", "ndarray", "_frombuffer"}


class _Inert(type):
    """The class of stand-ins: calling one makes an inert object, or is refused."""

    refusal: UserError | None

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.refusal is not None:
            raise cls.refusal
        bare: Any = cls
        return object.__new__(bare)


class _InertObject(metaclass=_Inert):
    """Takes whatever pickle does to it, and keeps nothing."""

    refusal = None
    __getinitargs__ = ()  # without it, pickle's two oldest ways to call a class would go round `_Inert.__call__`

    def __new__(cls, *args: Any, **kwargs: Any) -> "_InertObject":
        return object.__new__(cls)

    def _ignore(self, *args: Any, **kwargs: Any) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = add = update = _ignore


@dataclass(frozen=True)
class _Storage:
    file: MappedFile
    dtype: torch.dtype
    offset: int
    elements: int


def zip_tensors(file: MappedFile) -> dict[str, Any]:
    """The state dict: the whole content, or its `state_dict` where Lightning keeps other things beside it."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            if "data.pkl" not in records:
                raise UserError(f"{file.path}: a zip file, but no PyTorch checkpoint (no data.pkl in it)")
            for name in ("data.pkl", "byteorder"):
                if name in records and records[name].compress_type != zipfile.ZIP_STORED:
                    raise UserError(
                        f"{file.path}: its {name} is compressed, as PyTorch writes none; load and save it anew"
                    )
            if "byteorder" in records and archive.read(records["byteorder"]) != b"little":
                raise UserError(f"{file.path}: written on a big-endian machine; save it on a little-endian one")
            index = archive.read(records["data.pkl"])
            if nests_too_deep(index):
                raise UserError(f"{file.path}: damaged, its index nests too deep; do not use it")
            content = _Unpickler(file, records, index).load()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(f"{file.path}: truncated or damaged ({one_line(error)}); fetch it again") from error
    except UserError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(
            f"{file.path}: damaged, its index cannot be read ({one_line(error)}); fetch it again"
        ) from error
    return _state_dict(file, content)


def _state_dict(file: MappedFile, content: Any) -> dict[str, Any]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise UserError(f"{file.path}: holds a {type(content).__name__}, not a dictionary of weights")
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    for key, value in named.items():
        if isinstance(value, StoredTensor) and not _lies_in(file, value):
            raise UserError(f"{file.path}: damaged, {key} does not lie in this file; do not use it")
    return {key: replace(value, name=key) if isinstance(value, StoredTensor) else value for key, value in named.items()}


def _lies_in(file: MappedFile, tensor: StoredTensor) -> bool:
    """A pickle may write into the objects that it is given, whatever they were checked for before."""
    if tensor.file is not file or not isinstance(tensor.dtype, torch.dtype):
        return False
    if not (isinstance(tensor.shape, tuple) and isinstance(tensor.stride, tuple)):
        return False
    numbers = (tensor.offset, tensor.start, *tensor.shape, *tensor.stride)
    if any(not isinstance(number, int) or number < 0 for number in numbers) or len(tensor.shape) != len(tensor.stride):
        return False
    # Also where rows are repeated: weights are no larger than their file.
    return max(tensor.offset + tensor.extent * element_size(tensor.dtype), tensor.size_bytes) <= len(file.bytes)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: MappedFile, records: dict[str, zipfile.ZipInfo], content: bytes) -> None:
        super().__init__(BytesIO(content), encoding="utf-8")
        self.file, self.records = file, records

    def find_class(self, module: str, name: str) -> Any:
        # Pickles of protocol 2, as PyTorch writes them, spell the standard library as Python 2 did.
        module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        module = RENAMED.get(module, module)
        full, root = f"{module}.{name}", module.partition(".")[0]
        if full in REAL:
            # A pickle may set attributes of what it is given: functions are given as copies.
            return partial(REAL[full]) if isinstance(REAL[full], FunctionType) else REAL[full]
        if module == "torch._utils" and name.startswith("_rebuild_"):
            return partial(_nothing)
        refusal = UserError(
            f"{self.file.path}: tries to run {full} when loaded; refused, and nothing was run. Do not use this file"
        )
        if root in sys.stdlib_module_names and module not in DATA_MODULES and full not in DATA_NAMES:
            raise refusal
        if "." in name:  # walks from a harmless module to whatever that has imported
            raise refusal
        return _Inert(name, (_InertObject,), {"refusal": None if _is_bookkeeping(root, name) else refusal})

    def persistent_load(self, pid: Any) -> _Storage | None:
        """None for kinds of numbers that no weights have (complex, quantized)."""
        kind, dtype, key, _location, elements = pid
        if not isinstance(dtype, torch.dtype):
            return None
        record = self.records.get(f"data/{key}")
        if kind != "storage" or record is None:
            raise pickle.UnpicklingError(f"storage {key} is missing")
        if record.compress_type != zipfile.ZIP_STORED or elements * element_size(dtype) > record.file_size:
            raise pickle.UnpicklingError(f"storage {key} has {record.file_size} bytes for {elements} elements")
        return _Storage(self.file, dtype, self._data_offset(record), elements)

    def _data_offset(self, record: zipfile.ZipInfo) -> int:
        """Behind the record's own header, whose extra field may differ from the one in the index."""
        header = self.file.bytes[record.header_offset : record.header_offset + 30]
        if header[:4] != b"PK\x03\x04":
            raise pickle.UnpicklingError(f"no record at byte {record.header_offset}")
        offset = record.header_offset + 30 + int.from_bytes(header[26:28], "little")
        offset += int.from_bytes(header[28:30], "little")
        if offset + record.file_size > len(self.file.bytes):
            raise pickle.UnpicklingError("the file ends within a tensor")
        return offset


def _is_bookkeeping(root: str, name: str) -> bool:
    return root in sys.stdlib_module_names or root in BOOKKEEPERS or (root == "numpy" and name in NUMPY_DATA)


def _tensor(storage: _Storage | None, start: int, shape: Any, stride: Any, *_: Any) -> StoredTensor | None:
    if storage is None:
        return None
    found = StoredTensor(storage.file, "", storage.dtype, storage.offset, start, tuple(shape), tuple(stride))
    if any(not isinstance(number, int) or number < 0 for number in (start, *shape, *stride)):
        raise pickle.UnpicklingError(f"a tensor of shape {tuple(shape)} and strides {tuple(stride)}")
    if found.extent > storage.elements:
        raise pickle.UnpicklingError(f"a tensor of {found.extent} elements in a storage of {storage.elements}")
    return found


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _nothing(*_: Any) -> None:
    return None


REAL: dict[str, Any] = {
    "collections.OrderedDict": collections.OrderedDict,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _nothing,
    "torch.Size": tuple,
    "torch.device": _nothing,
    "torch.serialization._get_layout": _nothing,
    **{f"builtins.{name}": getattr(builtins, name) for name in CONTAINERS},
    **{f"torch.{name}": dtype for name, dtype in STORAGES.items()},
    **{str(dtype): dtype for dtype in STORAGES.values()},
}
