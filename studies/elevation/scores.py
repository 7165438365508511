"""How far off the elevation network is, on objects that it was never shown."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float

from studies.elevation.views import ViewSet, usual
from threestudio.elevation.estimate import summarised
from threestudio.elevation.network import ElevationNetwork

WATCHED, MEASURED = 200, 50  # objects of a set, while training and in the report
ALWAYS_DEG = 10.0  # what was taken before anything looked
STEEP_DEG = 35.0


def errors_deg(network: ElevationNetwork, views: ViewSet, objects: int = WATCHED) -> Float[np.ndarray, "b"]:
    indices = views.first_of_each(objects)
    return np.abs(guesses(network, views, indices)[0] - views.elevation_deg[torch.from_numpy(indices)].numpy())


@torch.no_grad()
def guesses(network: ElevationNetwork, views: ViewSet, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elevations and their spreads, in degrees."""
    found = summarised(network, usual(views.rgba(indices)))
    return np.array([one.deg for one in found]), np.array([one.spread_deg for one in found])


def report(network: ElevationNetwork, sets: Mapping[str, ViewSet]) -> str:
    """One row a set, and one of all together."""
    found = {name: row(network, views) for name, views in sets.items()}
    guess, spread, truth = (np.concatenate(parts) for parts in zip(*found.values(), strict=True))
    found["together"] = guess, spread, truth
    lines = [
        "| set | objects | mean error | median | always 10 | steep views, mean | spread holds |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(line(name, *values) for name, values in found.items())]) + "\n"


def row(network: ElevationNetwork, views: ViewSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    indices = views.first_of_each(MEASURED)
    return *guesses(network, views, indices), views.elevation_deg[torch.from_numpy(indices)].numpy()


def line(name: str, guess: np.ndarray, spread: np.ndarray, truth: np.ndarray) -> str:
    error, steep = np.abs(guess - truth), truth > STEEP_DEG
    numbers = [error.mean(), np.median(error), np.abs(ALWAYS_DEG - truth).mean(), error[steep].mean()]
    return (
        f"| {name} | {len(truth)} | " + " | ".join(f"{n:.1f}" for n in numbers) + f" | {(error <= spread).mean():.0%} |"
    )
