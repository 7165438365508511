"""How far a mean over objects can be trusted."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

RESAMPLES = 10_000


def bootstrap_interval(values: Float[ndarray, "object"], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean, from resampled objects (percentiles)."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
