"""Which weights a config names for its guidance: those of the cascade's list, whose ends the older keys name too."""

from collections.abc import Mapping, Sequence
from typing import Any


def named_weights(guidance: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Blocks of `weights` and perhaps `config`, by what each model is called: base, stage 2, .., refiner.

    A model without weights of its own, which has those of the one before, is left out.
    """
    stages: Sequence[Mapping[str, Any]] = guidance.get("cascade") or [{}, {}]
    entries = [dict(stage) for stage in stages]
    for place, name in ((0, "base"), (-1, "refiner")):
        given = guidance.get(name) or {}
        if given.get("weights"):
            entries[place] = dict(given)
    names = ["base", *(f"stage {place}" for place in range(2, len(entries))), "refiner"]
    return {name: entry for name, entry in zip(names, entries, strict=False) if entry.get("weights")}
