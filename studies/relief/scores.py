"""How near a relief is to the truth, beside closed forms: an inflated outline, and a flat card.

Lengths are shares of the larger side of the object's box in the picture, angles degrees.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from studies.metrics.bootstrap import bootstrap_interval
from studies.relief.batches import Batch, ReliefSet
from studies.relief.objective import masked_mean, relative_error
from threestudio.relief.inputs import to_outline
from threestudio.relief.network import LAYER_OFFSETS, Prediction, ReliefNetwork

BOX = 1.5  # the box' larger side in the network's units: 0.75 of the picture
FACTORS = (0.3, 0.5, 0.7, 1.0, 1.5)  # of an inflated outline: half thickness over distance from the outline
CARD = 0.3  # thickness of the flat card, likewise in shares of the box
METRICS = {
    "depth": "relative depth",
    "thickness": "thickness",
    "normal": "normals (degrees)",
    "iou": "IoU of the solid",
    "elevation": "elevation (degrees)",
}

Guess = Callable[[Batch], Prediction]
Scores = Mapping[str, Float[np.ndarray, "object"]]


def network_guess(network: ReliefNetwork) -> Guess:
    @torch.no_grad()
    def guess(batch: Batch) -> Prediction:
        return network(batch.input)

    return guess


def inflated_guess(factor: float) -> Guess:
    """As thick before the plane through the origin as behind it."""

    def guess(batch: Batch) -> Prediction:
        outline = torch.stack([to_outline(alpha) for alpha in batch.rgba[:, 3]])
        return of_sheets(-factor * outline, 2 * factor * outline)

    return guess


def card_guess(batch: Batch) -> Prediction:
    thickness = torch.full_like(batch.front, CARD * BOX)
    return of_sheets(-thickness / 2, thickness)


def of_sheets(front: Float[Tensor, "b h w"], thickness: Float[Tensor, "b h w"]) -> Prediction:
    """Facing the camera where nothing better is known; solid from front to back."""
    offsets = torch.tensor(LAYER_OFFSETS)[:, None, None]
    coarse_front, coarse_back = front[:, None, ::2, ::2], (front + thickness)[:, None, ::2, ::2]
    inside = (offsets >= coarse_front) & (offsets <= coarse_back)
    normal = torch.zeros(len(front), 3, *front.shape[1:])
    normal[:, 2] = 1.0
    nothing = torch.full((len(front),), torch.nan)
    return Prediction(front, thickness, normal, torch.where(inside, 1.0, -1.0), nothing)


def scored(views: ReliefSet, guess: Guess, batch_size: int = 32) -> dict[str, Float[np.ndarray, "object"]]:
    """Means of each object's pictures."""
    values: dict[str, dict[str, list[float]]] = {metric: defaultdict(list) for metric in METRICS}
    for start in range(0, len(views), batch_size):
        indices = range(start, min(start + batch_size, len(views)))
        batch = views.batch(indices)
        for metric, of_pictures in errors(guess(batch), batch).items():
            for index, value in zip(indices, of_pictures.tolist(), strict=True):
                values[metric][views.names[index]].append(value)
    return {metric: np.array([np.mean(one) for one in objects.values()]) for metric, objects in values.items()}


def errors(guess: Prediction, batch: Batch) -> dict[str, Float[Tensor, "b"]]:
    hit = batch.hit.float()
    angle = torch.rad2deg((guess.normal * batch.normal).sum(dim=1).clamp(-1, 1).arccos())
    return {
        "depth": relative_error(guess.front - batch.front, hit) / BOX,
        "thickness": masked_mean((guess.thickness.clamp_min(0) - batch.thickness).abs(), hit) / BOX,
        "normal": masked_mean(angle, hit),
        "iou": intersection_over_union(guess.layer_logits > 0, batch.inside, batch.column_mask > 0),
        "elevation": (guess.elevation_deg - batch.elevation_deg).abs(),
    }


def intersection_over_union(
    guess: Bool[Tensor, "b layer lh lw"], truth: Bool[Tensor, "b layer lh lw"], mask: Bool[Tensor, "b lh lw"]
) -> Float[Tensor, "b"]:
    """Within the picture's outline."""
    guess, truth = guess & mask[:, None], truth & mask[:, None]
    union = (guess | truth).sum(dim=(1, 2, 3))
    return (guess & truth).sum(dim=(1, 2, 3)) / union.clamp_min(1)


def best_inflation(views: ReliefSet) -> float:
    """The factor with the least sum of depth's and thickness' errors on these very pictures."""

    def error(factor: float) -> float:
        found = scored(views, inflated_guess(factor))
        return float(found["depth"].mean() + found["thickness"].mean())

    return min(FACTORS, key=error)


def table(methods: Mapping[str, Scores]) -> str:
    """Markdown: means over objects with 95 % bootstrap intervals."""
    lines = ["| | " + " | ".join(METRICS.values()) + " |", "|---|" + "---|" * len(METRICS)]
    for name, scores in methods.items():
        lines.append(f"| {name} | " + " | ".join(cell(scores[metric]) for metric in METRICS) + " |")
    return "\n".join(lines) + "\n"


def cell(values: Float[np.ndarray, "object"]) -> str:
    if np.isnan(values).any():
        return ""
    low, high = bootstrap_interval(values)
    digits = 3 if values.mean() < 1 else 1
    return f"{values.mean():.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
