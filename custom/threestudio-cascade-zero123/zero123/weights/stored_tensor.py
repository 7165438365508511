"""A tensor that lies in a file, and is read when it is wanted.

The file is memory-mapped. What a CPU can use as it lies there is used from there, and of what has to be copied the
pages are given back, so that a checkpoint of 15 GB takes the memory of the weights that are kept and of no others.
Rows, transposes and dropped axes are views that cost nothing, as torch's are: checkpoint layouts differ by no more than
that.
"""

import bisect
import dataclasses
import math
import mmap
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Of Linux on x86 and ARM; Python names it from 3.13 on. Without it no file larger than the memory can be mapped so.
MAP_NORESERVE = 0x4000


class MappedFile:
    """A file's bytes, of which parts can be lent to tensors.

    Writing to them (an optimizer may) changes this process's copy, never the file. Where the system maps no file so,
    nothing is lent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lent: list[tuple[int, int]] = []
        with open(path, "rb") as file:
            try:
                self.bytes, self.lends = _mapped_to_write(file.fileno()), True
            except OSError:
                self.bytes, self.lends = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), False

    def lend(self, start: int, stop: int, alignment: int) -> bool:
        """Whether a tensor may use these bytes: no two may share any, as one of them may be written to."""
        if not self.lends or start % alignment or self.has_lent(start, stop):
            return False
        bisect.insort(self.lent, (start, stop))
        return True

    def has_lent(self, start: int, stop: int) -> bool:
        """Whether any of these bytes are a tensor's; what is lent does not overlap, so its neighbours tell."""
        place = bisect.bisect(self.lent, (start, stop))
        return any(first < stop and start < last for first, last in self.lent[max(place - 1, 0) : place + 1])

    def release(self, start: int, stop: int) -> None:
        """Take the pages within out of this process's memory; the next access reads them again.

        Not those of a tensor: what was written to them would be lost.
        """
        start += -start % mmap.PAGESIZE
        length = stop - stop % mmap.PAGESIZE - start
        if length > 0 and hasattr(self.bytes, "madvise") and not self.has_lent(start, start + length):
            self.bytes.madvise(mmap.MADV_DONTNEED, start, length)


def _mapped_to_write(file: int) -> mmap.mmap:
    if sys.platform != "linux":
        return mmap.mmap(file, 0, access=mmap.ACCESS_COPY)
    return mmap.mmap(file, 0, flags=mmap.MAP_PRIVATE | MAP_NORESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE)


@dataclass(frozen=True)
class Wanted:
    """How tensors are read: `dtype` applies to floating-point ones, None keeps the file's."""

    dtype: torch.dtype | None = None
    device: torch.device | str = "cpu"
    channels_last: bool = False  # those of four axes

    def empty(self, stored: "StoredTensor") -> Tensor:
        return torch.empty(
            stored.shape, dtype=self.dtype_of(stored), device=self.device, memory_format=self.layout_of(stored)
        )

    def dtype_of(self, stored: "StoredTensor") -> torch.dtype:
        return self.dtype if self.dtype is not None and stored.dtype.is_floating_point else stored.dtype

    def layout_of(self, stored: "StoredTensor") -> torch.memory_format:
        return torch.channels_last if self.channels_last and len(stored.shape) == 4 else torch.contiguous_format


AS_STORED = Wanted()


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor, or a view of one, lies: `start` and `stride` count elements from the byte `offset`."""

    file: MappedFile
    name: str
    dtype: torch.dtype
    offset: int
    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def extent(self) -> int:
        """Elements from `offset` to the last one of the view."""
        if 0 in self.shape:
            return 0
        return self.start + 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * element_size(self.dtype)

    def __getitem__(self, index: tuple[Any, ...]) -> "StoredTensor":
        """`[:, :, 0]` and `[:, :, 0, 0]`: a convolution of size 1 as a matrix, the only indexing that layouts need."""
        kept = index.count(slice(None))
        if any(size != 1 for size in self.shape[kept:]):
            raise ValueError(f"{self.name} of shape {list(self.shape)}")
        return dataclasses.replace(self, shape=self.shape[:kept], stride=self.stride[:kept])

    def rows(self, start: int, stop: int) -> "StoredTensor":
        shape = (stop - start, *self.shape[1:])
        return dataclasses.replace(self, start=self.start + start * self.stride[0], shape=shape)

    def transposed(self) -> "StoredTensor":
        return dataclasses.replace(self, shape=self.shape[::-1], stride=self.stride[::-1])

    def read(self, wanted: Wanted = AS_STORED) -> Tensor:
        """Not a copy where the file's own bytes will do: they stay mapped for as long as the tensor lives."""
        if self.extent == 0:
            return wanted.empty(self)
        size = element_size(self.dtype)
        first = self.offset + self.start * size
        with warnings.catch_warnings():
            # What is not lent is only read from.
            warnings.filterwarnings("ignore", message="The given buffer is not writable")
            flat = torch.frombuffer(self.file.bytes, dtype=self.dtype, count=self.extent - self.start, offset=first)
        last = first + len(flat) * size
        lying = flat.as_strided(self.shape, self.stride)
        here = wanted.dtype_of(self) == self.dtype and torch.device(wanted.device).type == "cpu"
        usable = here and lying.is_contiguous(memory_format=wanted.layout_of(self))
        if usable and self.file.lend(first, last, size):
            return lying
        result = wanted.empty(self)
        result.copy_(lying)
        self.file.release(first, last)
        return result


def element_size(dtype: torch.dtype) -> int:
    """Bytes; `dtype.itemsize` is of torch 2.1 on."""
    return torch.empty(0, dtype=dtype).element_size()


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """In elements, of a tensor of this shape without gaps."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
