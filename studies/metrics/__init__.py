"""How good pictures are: the metrics of the paper's Tables 1 and 2, each defined where it is computed.

    psnr(views, truth), ssim(views, truth)      always there
    perceptual(), clip_score(...)               a metric, or `Unavailable` with its reason: never a made-up number
    score(metric, views, truth)                 the mean over views as a `Score`, or "n/a" with that reason

Pictures are [view 3 h w] in [0, 1], composited on white (zero123/white.py), as Zero-1-to-3 (Liu et al. 2023) and
Magic123 (Qian et al. 2023) have them; no mask is applied, so the white background counts. Novel views are compared at
the size that the model makes (256 px for the published weights, as in Zero-1-to-3), a reconstruction's view at
REFERENCE_SIZE.
"""

from cascade_zero123.training.psnr import psnr

from .clip import ClipScore, clip_score
from .lpips import Lpips, StLpips, perceptual
from .resize import REFERENCE_SIZE, resized
from .score import Metric, Score, Unavailable, mean_score, score
from .ssim import ssim

__all__ = [
    "ClipScore",
    "Lpips",
    "Metric",
    "REFERENCE_SIZE",
    "Score",
    "StLpips",
    "Unavailable",
    "clip_score",
    "mean_score",
    "perceptual",
    "psnr",
    "resized",
    "score",
    "ssim",
]
