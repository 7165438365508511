"""In which floating-point type a model's weights are kept and its networks compute.

    fp32    exact
    fp16    half the memory; for CUDA of any age
    bf16    half the memory and float32's range; for CUDA from compute capability 8.0 on and
            for processors with AVX512-BF16, AMX or Arm's BF16
    auto    bf16 where the hardware has it, else fp16 on CUDA and fp32 on a CPU

A processor without bf16 emulates it, hundreds of times slower than float32. Everything outside the networks (schedules,
guidance, the gradient, the pictures) stays in float32: see model.py.
"""

import platform

import torch

from ..common.errors import UserError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
PRECISIONS = ("auto", *DTYPES)
FIRST_CUDA_WITH_BF16 = (8, 0)


def dtype_of(precision: str, device: torch.device) -> torch.dtype:
    """What `precision` means on `device`."""
    if precision == "auto":
        return _best(device)
    if precision not in DTYPES:
        raise UserError(f'precision "{precision}"; known are {", ".join(PRECISIONS)}')
    return DTYPES[precision]


def _best(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        new = torch.cuda.get_device_capability(device) >= FIRST_CUDA_WITH_BF16
        return torch.bfloat16 if new else torch.float16
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bf16() else torch.float32


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 natively; False where this torch cannot tell."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        # On x86 the same question is answered yes for an emulation.
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, test, bool)() for test in tests)
