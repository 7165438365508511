"""What a metric says: a measured number, or why there is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Metric = Callable[[Tensor, Tensor], Tensor]  # [view 3 h w] twice, in [0, 1] on white, to one number a view


@dataclass(frozen=True)
class Unavailable:
    """In the place of a metric that cannot be measured here; `name` is the metric's."""

    name: str
    reason: str


@dataclass(frozen=True)
class Score:
    """A measured value, with the interval of its mean where there is one; or, where that is None, the reason."""

    value: float | None
    reason: str = ""
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError("a score has either a value or a reason why there is none")

    def text(self, digits: int = 3) -> str:
        """`0.123`, `0.123 [0.100, 0.150]` or `n/a`."""
        if self.value is None:
            return "n/a"
        bounds = ", ".join(f"{bound:.{digits}f}" for bound in self.interval or ())
        return f"{self.value:.{digits}f}" + (f" [{bounds}]" if bounds else "")


@torch.no_grad()
def score(
    metric: Metric | Unavailable, views: Float[Tensor, "view 3 h w"], truth: Float[Tensor, "true_view 3 th tw"]
) -> Score:
    """The mean over the views; none where they are smaller than the metric's network takes."""
    if isinstance(metric, Unavailable):
        return Score(None, metric.reason)
    side, smallest = min(views.shape[-2:]), getattr(metric, "smallest", 1)
    if side < smallest:
        return Score(None, f"it needs pictures of at least {smallest} px, these have {side}")
    return Score(float(metric(views, truth).double().mean()))


def mean_score(scores: Sequence[Score]) -> Score:
    """Over objects; without a value as soon as one of them is, so that no mean hides what was not measured."""
    if not scores:
        return Score(None, "nothing was measured")
    for one in scores:
        if one.value is None:
            return one
    return Score(sum(one.value for one in scores if one.value is not None) / len(scores))
