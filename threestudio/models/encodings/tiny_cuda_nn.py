"""tiny-cuda-nn's kernels for the hash grid, where the package is installed and the points are on a CUDA device."""

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def tiny_cuda_nn_encoding(n_input_dims: int, config: dict[str, Any]) -> Callable[[Tensor, Tensor], Tensor] | None:
    """A function of points [point 3] and our table [row feature], or None without tiny-cuda-nn or CUDA."""
    if not torch.cuda.is_available() or importlib.util.find_spec("tinycudann") is None:
        return None
    import tinycudann

    theirs = {key: value for key, value in config.items() if key != "include_xyz"}
    encoding = tinycudann.Encoding(n_input_dims, {**theirs, "otype": "Grid", "type": "Hash"}, dtype=torch.float32)

    def encode(points: Tensor, table: Tensor) -> Tensor:
        # The module's own parameters are put aside: its layout is ours, and ours is what is trained and saved.
        return torch.func.functional_call(encoding, {"params": table.reshape(-1)}, (points,))

    return encode
