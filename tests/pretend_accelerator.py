"""launch.py on a device that is not the CPU, for machines that have no other.

    python tests/pretend_accelerator.py --config configs/cascade-zero123.yaml --train data.image_path=cat.png

A tensor on the device `pretend` computes in the host's memory, but as on a GPU it refuses to meet a tensor of the CPU,
and NumPy cannot read it. So a run ends in an error where one on CUDA would for these reasons; what only CUDA has
(kernels, nerfacc's marching, streams, memory) is not tried. Numbers are the CPU's own.
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, library
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

ROOT = Path(__file__).parents[1]
NAME = "pretend"
DEVICE = torch.device("privateuseone", 0)
# New in torch, and not public; without it nothing is pretended.
HAS_PYTHON_BACKENDS = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
# CUDA takes indices that lie on the CPU, and numbers.
INDEXING = ("aten::index.Tensor", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
# Made without an operation that is seen, or as an empty tensor that grows.
MADE_ON_THE_HOST = ("tensor", "arange", "eye", "linspace", "randperm")


class OnDevice(Tensor):
    """`host` holds the values."""

    host: Tensor
    made = 0

    @staticmethod
    def __new__(cls, host: Tensor) -> "OnDevice":
        layout = {"strides": host.stride(), "storage_offset": host.storage_offset()}
        tensor = Tensor._make_wrapper_subclass(cls, host.size(), dtype=host.dtype, device=DEVICE, **layout)
        tensor.host = host
        cls.made += 1
        return tensor

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(operation, *args, **(kwargs or {}))

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a tensor on {NAME} cannot become a NumPy array; use Tensor.cpu() first")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.host.tolist()

    def __reduce_ex__(self, protocol: int) -> Any:
        """Checkpoints hold values, wherever they were."""
        return self.host.__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"{self.host!r} on {NAME}"


def computed(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """The operation on the host's tensors, if all of them are on the device."""
    name = operation.name()
    if name == "aten::_to_copy":
        return moved(*args, **kwargs)
    if name in ("aten::copy_", "aten::_copy_from"):
        target, source = args[:2] if name == "aten::copy_" else args[1::-1]
        host_of(target).copy_(host_of(source))
        return target
    leaves, spec = pytree.tree_flatten((args, kwargs))
    refuse_strangers(name, leaves, args)
    on_host, named = pytree.tree_unflatten([host_of(leaf) for leaf in leaves], spec)
    if "device" in named:
        named["device"] = "cpu"
    result = operation(*on_host, **named)
    given = {id(leaf.host): leaf for leaf in leaves if isinstance(leaf, OnDevice)}
    if any(leaf.shape != leaf.host.shape for leaf in given.values()):
        raise NotImplementedError(f"{name}: resizes a tensor, which is not pretended")
    # In place, the device's tensor stays the one that it was.
    return pytree.tree_map_only(Tensor, lambda host: given[id(host)] if id(host) in given else OnDevice(host), result)


def moved(tensor: Tensor, device: Any = None, **how: Any) -> Tensor:
    """`Tensor.to`: a copy on `device`, or where the tensor is."""
    made = host_of(tensor).clone().to(**{key: how[key] for key in ("dtype", "memory_format") if how.get(key)})
    return OnDevice(made) if torch.device(device or tensor.device).type == DEVICE.type else made


def host_of(value: Any) -> Any:
    return value.host if isinstance(value, OnDevice) else value


def refuse_strangers(name: str, leaves: list[Any], args: tuple[Any, ...]) -> None:
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if name in INDEXING and isinstance(args[0], OnDevice):
        tensors = [args[0], *args[2:3]]
    strangers = [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.ndim > 0]
    if strangers and len(strangers) < len(tensors):
        shapes = ", ".join(str(list(tensor.shape)) for tensor in strangers)
        raise RuntimeError(f"{name}: Expected all tensors to be on the same device, but {shapes} on the CPU")
    if any(isinstance(leaf, torch.Generator) for leaf in leaves):
        raise RuntimeError(f"{name}: Expected a '{NAME}' device type for generator but found 'cpu'")


class Backend(backend_registration._DummyBackendModule if HAS_PYTHON_BACKENDS else object):
    """What torch asks a kind of device for."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def manual_seed_all(self, seed: int) -> None:
        pass

    def _is_in_bad_fork(self) -> bool:
        return False


def made_on_the_host(make: Any) -> Any:
    def made(*args: Any, device: Any = None, **how: Any) -> Tensor:
        return make(*args, **how).to(device or "cpu")

    return made


def install() -> library.Library:
    """Make the device known to torch, for the rest of this process; what is returned has to be kept."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
    operations = library.Library("_", "IMPL")
    operations.fallback(computed, "PrivateUse1")
    for name in MADE_ON_THE_HOST:
        setattr(torch, name, made_on_the_host(getattr(torch, name)))
    make_like = Tensor.new_tensor
    Tensor.new_tensor = lambda like, data, **how: make_like(host_of(like), data, **how).to(like.device)
    return operations


def use_in_threestudio() -> None:
    """In the place of the first CUDA device."""
    from pytorch_lightning.strategies import SingleDeviceStrategy

    from threestudio.utils import base, misc, trainer

    def on_this_machine(options: dict[str, Any]) -> dict[str, Any]:
        options = {key: value for key, value in options.items() if key != "accelerator"}
        return {"devices": 1, **options, "strategy": SingleDeviceStrategy(DEVICE, accelerator=accelerator())}

    base.get_device = misc.get_device = lambda: DEVICE
    trainer._on_this_machine = on_this_machine


def accelerator() -> Any:
    from pytorch_lightning.accelerators import CPUAccelerator

    class Pretended(CPUAccelerator):
        def setup_device(self, device: torch.device) -> None:
            pass

    return Pretended()


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT))
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    operations = install()
    import launch

    use_in_threestudio()
    code = launch.main(arguments)
    del operations
    assert code or OnDevice.made > 1000, "the run was not on the device"
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
