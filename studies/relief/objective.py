"""What a predicted relief is charged for."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from studies.relief.batches import Batch
from threestudio.relief.network import ELEVATION_UNIT_DEG, Prediction

WEIGHTS = {"front": 0.5, "relative": 1.0, "thickness": 1.0, "normal": 0.4, "layers": 1.0, "elevation": 0.3}


def loss(predicted: Prediction, batch: Batch) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """The weighted sum, and its terms before they are weighted; each a mean over pictures."""
    found = terms(predicted, batch)
    weighted = sum((WEIGHTS[name] * value for name, value in found.items()), torch.zeros(()))
    return weighted, {name: float(value.detach()) for name, value in found.items()}


def terms(predicted: Prediction, batch: Batch) -> dict[str, Float[Tensor, ""]]:
    hit = batch.hit.float()
    front_error = predicted.front - batch.front
    cosine = (predicted.normal * batch.normal).sum(dim=1)
    entropy = F.binary_cross_entropy_with_logits(predicted.layer_logits, batch.inside.float(), reduction="none")
    return {
        "front": masked_mean(front_error.abs(), hit).mean(),
        "relative": relative_error(front_error, hit).mean(),
        "thickness": masked_mean((predicted.thickness - batch.thickness).abs(), hit).mean(),
        "normal": masked_mean(1 - cosine, hit).mean(),
        "layers": masked_mean(entropy.mean(dim=1), batch.column_mask).mean(),
        "elevation": (predicted.elevation_deg - batch.elevation_deg).abs().mean() / ELEVATION_UNIT_DEG,
    }


def relative_error(error: Float[Tensor, "b h w"], mask: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """Mean absolute error but for one shift of the whole picture."""
    return masked_mean((error - masked_mean(error, mask)[:, None, None]).abs(), mask)


def masked_mean(values: Float[Tensor, "b h w"], mask: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    return (values * mask).sum(dim=(1, 2)) / mask.sum(dim=(1, 2)).clamp_min(1)
