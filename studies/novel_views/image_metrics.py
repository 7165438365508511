"""PSNR, SSIM and the perceptual distance of each view, and which of them cannot be measured here, and why."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from studies.metrics import Score, Unavailable, perceptual, psnr, score, ssim
from studies.metrics.lpips import why_no_lpips


class ImageMetrics:
    """LPIPS, or ST-LPIPS in its place and under its own name (metrics/lpips.py), of views of `size` pixels."""

    def __init__(self, size: int, device: str) -> None:
        distance = perceptual(device)
        self.metrics: dict[str, Any] = {"PSNR": psnr, "SSIM": ssim, distance.name: distance}
        blank = torch.zeros(1, 3, size, size)
        self.refused = {name: tried.reason for name, tried in self._scores(blank, blank).items() if tried.reason}
        if distance.name != "LPIPS":
            self.refused["LPIPS"] = why_no_lpips()
        self.note = "" if isinstance(distance, Unavailable) else f"{distance.note}."

    def __call__(self, images: Float[Tensor, "b _ h w"], truth: Float[Tensor, "b _ h w"]) -> list[dict[str, float]]:
        """Of each view's colours on white against the true ones, those that can be measured."""
        images, truth = images[:, :3], truth[:, :3]
        scores = [self._scores(images[i : i + 1], truth[i : i + 1]) for i in range(len(images))]
        return [{name: one.value for name, one in view.items() if one.value is not None} for view in scores]

    def names(self) -> list[str]:
        return [name for name in self.metrics if name not in self.refused]

    def notes(self) -> list[str]:
        return [*([self.note] if self.note else []), *(f"{name} n/a: {why}." for name, why in self.refused.items())]

    def _scores(self, images: Tensor, truth: Tensor) -> dict[str, Score]:
        return {name: score(metric, images.cpu(), truth.cpu()) for name, metric in self.metrics.items()}
