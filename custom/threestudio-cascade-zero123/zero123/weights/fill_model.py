"""Networks made from stored tensors: built without memory, filled tensor by tensor, each one checked.

An error names the file and the first bad key, as the file spells it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...common.errors import UserError, one_line
from .stored_tensor import StoredTensor, Wanted

# A buffer that CLIP computes; the transformers of upstream's day (4.28) stores it in the file and expects it there.
POSITION_IDS = "vision_model.embeddings.position_ids"


Part = TypeVar("Part", bound=nn.Module)


def filled(
    build: Callable[[], Part],
    built_from: str,
    tensors: dict[str, StoredTensor],
    file: Path,
    wanted: Wanted,
    section: str = "",
) -> Part:
    """The module that `build` makes, with `tensors` (by its own keys): each once, none left over.

    `section` says which part of the file these are.
    """
    module = _empty(build, built_from)
    expected = {key: value for key, value in module.state_dict().items() if key != POSITION_IDS}
    for key, value in expected.items():
        if key not in tensors:
            name = _name_in_file(key, tensors) or section + key
            raise UserError(f"{file}: {name} is missing; the file is not of this network, or incomplete")
        _check_kind(file, key, tensors[key], value, built_from)
    for key in tensors:
        if key not in expected and key != POSITION_IDS:
            name = getattr(tensors[key], "name", key)
            raise UserError(f"{file}: {name} is not part of the network by {built_from}, which is of other weights")
    for key in expected:
        _put(module, key, _finite(file, tensors[key], wanted))
    _compute_position_ids(module, wanted.device)
    return module.eval().requires_grad_(False)


def _empty(build: Callable[[], Part], built_from: str) -> Part:
    try:
        with torch.device("meta"), _WithoutStartingValues():
            return build()
    except Exception as error:  # the libraries check configurations in many ways
        raise UserError(f"{built_from}: {one_line(error)}") from error


class _WithoutStartingValues(TorchFunctionMode):
    """Layers draw none: on the meta device there is nothing to fill, but trying takes most of the time of building."""

    DRAWS = (Tensor.uniform_, Tensor.normal_, nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in self.DRAWS:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def _put(module: nn.Module, key: str, value: Tensor) -> None:
    """In the place of the tensor without memory; `load_state_dict(assign=True)` is of torch 2.1 on."""
    owner, _, name = key.rpartition(".")
    layer = module.get_submodule(owner)
    setattr(layer, name, nn.Parameter(value, requires_grad=False) if name in layer._parameters else value)


def _check_kind(file: Path, key: str, found: Any, expected: Tensor, built_from: str) -> None:
    if not isinstance(found, StoredTensor):
        raise UserError(f"{file}: {key} is {kind_of(found)}")
    if found.shape != tuple(expected.shape):
        shapes = f"{list(found.shape)}, expected {list(expected.shape)}"
        raise UserError(f"{file}: {found.name} is {shapes} by {built_from}")
    if found.dtype.is_floating_point != expected.is_floating_point():
        raise UserError(f"{file}: {found.name} is {found.dtype}, expected {expected.dtype}")


def kind_of(found: Any) -> str:
    """What lies in a tensor's place; those of kinds that no weights have (complex, sparse) are read as nothing."""
    return "not a tensor of real numbers" if found is None else f"a {type(found).__name__}, not a tensor"


def _name_in_file(key: str, tensors: dict[str, StoredTensor]) -> str:
    """What a missing tensor is called where others of its layer are there: as theirs, but for the end of their keys."""
    nearest, same = "", 0
    for other, tensor in tensors.items():
        shared = len(os.path.commonprefix([key, other]))
        name = getattr(tensor, "name", other)
        if shared > same and name.endswith(other[shared:]):
            nearest, same = name.removesuffix(other[shared:]) + key[shared:], shared
    return nearest if "." in key[:same] else ""


def _finite(file: Path, stored: StoredTensor, wanted: Wanted) -> Tensor:
    value = stored.read(wanted)
    # In the order in which they lie: another is several times as slow.
    lying = value if value.is_contiguous() else value.permute(0, 2, 3, 1)
    if value.is_floating_point() and value.numel() and not torch.isfinite(_extremes(lying)).all():
        if value.dtype != stored.dtype and torch.isfinite(stored.read()).all():
            advice = "; take bfloat16 or float32" if value.dtype == torch.float16 else ""
            raise UserError(f"{file}: {stored.name} holds values too large for {value.dtype}{advice}")
        raise UserError(f"{file}: {stored.name} holds values that are not finite; the weights are damaged")
    return value


def _extremes(values: Tensor) -> Tensor:
    try:
        return torch.stack(values.aminmax())
    except RuntimeError:  # of half precision on a CPU, before torch 2.1
        return torch.stack(values.float().aminmax())


def _compute_position_ids(module: nn.Module, device: torch.device | str) -> None:
    for name, buffer in list(module.named_buffers()):
        if buffer.is_meta:
            assert name == POSITION_IDS, name
            embeddings = module.get_submodule(name.rpartition(".")[0])
            embeddings.position_ids = torch.arange(buffer.shape[-1], device=device)[None]
