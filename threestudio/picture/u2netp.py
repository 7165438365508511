"""U2-Net-P (Qin et al. 2020), a small network that finds the salient object: for busy photographs, offline.

`make cut-out` puts its weights into load/u2netp; see the README there for where they come from.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

import threestudio
from threestudio.errors import UserError

WEIGHTS = Path(__file__).resolve().parents[2] / "load" / "u2netp" / "u2netp.onnx"
SIDE = 320  # pixels, of what the network sees
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours
CLEAR, SOLID = 0.15, 0.85  # what it is nearly sure of is taken as sure
SMALLEST = 0.005  # of the picture's pixels


def is_there() -> bool:
    return WEIGHTS.is_file() and importlib.util.find_spec("onnxruntime") is not None


def with_u2netp(path: str | Path, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 4"]:
    if not is_there():
        raise UserError(f"{path}: data.background_removal=u2netp needs its weights and onnxruntime; run `make cut-out`")
    alpha = saliency(rgb)
    alpha = ((alpha - CLEAR) / (SOLID - CLEAR)).clip(0, 1)
    if (alpha > 0.5).mean() < SMALLEST:
        raise UserError(f"{path}: no object stands out in it; cut it out and save it as a PNG with transparency")
    threestudio.warn(f"{path}: was cut out by a network, U2-Net-P; look at the result")
    return np.dstack([rgb, (alpha * 255).round().astype(np.uint8)])


def saliency(rgb: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """0 to 1, at the picture's size."""
    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    planes = ((small / max(small.max(), 1.0) - MEAN) / DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)
    session = network()
    found = session.run(None, {session.get_inputs()[0].name: planes})[0][0, 0]
    found = (found - found.min()) / max(float(np.ptp(found)), 1e-6)
    return cv2.resize(found.astype(np.float32), rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR).clip(0, 1)


@lru_cache(maxsize=1)
def network() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(WEIGHTS), options, providers=["CPUExecutionProvider"])
