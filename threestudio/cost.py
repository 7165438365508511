"""What a run will take on this machine: as earlier ones took, else by a short calculation of the same kind."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from threestudio.utils.named_weights import named_weights
from threestudio.utils.progress import minutes

# `make demo` on two cores of an AMD EPYC, and there `unit_seconds`: what the guess is scaled by.
DEMO_SECONDS, DEMO_STEPS, DEMO_UNIT_SECONDS = 110.0, 520, 0.0030
STEPS_SHARE = 0.74  # of a run's time goes with the number of steps
SMALL_MODEL, SMALL_GB = "cascade-zero123-tiny", 1.1
UNIT_RUNS = 9


@dataclass(frozen=True)
class Cost:
    """`seconds` is None where nothing is known."""

    seconds: float | None
    memory_gb: float | None
    measured: bool  # by an earlier run of the same kind

    def __str__(self) -> str:
        if self.seconds is None:
            return "not known before one has run here; large models take hours on a CPU"
        by = "as earlier ones took" if self.measured else "guessed from a short calculation"
        memory = "" if self.memory_gb is None else f" and {self.memory_gb:.1f} GB of memory"
        return f"about {minutes(self.seconds)} minutes{memory} on this machine, {by}"


def cost_of(cfg: Any, outputs: Path) -> Cost:
    steps = int(cfg.trainer.get("max_steps") or 0)
    named = named_weights(cfg.system.get("guidance") or {})
    small = SMALL_MODEL in str(named.get("base", {}).get("weights", ""))
    memory = SMALL_GB if small else None
    earlier = earlier_seconds(outputs, cfg.name, steps)
    if earlier is not None:
        return Cost(earlier, memory, True)
    if not small or torch.cuda.is_available():
        return Cost(None, memory, False)
    return Cost(scaled(DEMO_SECONDS * unit_seconds() / DEMO_UNIT_SECONDS, DEMO_STEPS, steps), memory, False)


def scaled(seconds: float, steps: int, wanted: int) -> float:
    return seconds * (1 - STEPS_SHARE + STEPS_SHARE * wanted / max(steps, 1))


def earlier_seconds(outputs: Path, config: str, steps: int) -> float | None:
    """Of the last finished job of this config, by what the page's server keeps of it (web/jobs.py)."""
    found = []
    for path in outputs.glob("jobs/*/job.json"):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["config"] == config and kept["state"] == "done" and kept["steps"] > 0:
                found.append((kept["created"], scaled(kept["seconds"], kept["steps"], steps)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return max(found)[1] if found else None


def unit_seconds() -> float:
    """Of a little of what runs are made of: features looked up, multiplied, summed. In time of the core, since another
    program may have it just then."""
    generator = torch.Generator().manual_seed(0)
    table, weights = torch.rand(1 << 15, 16, generator=generator), torch.rand(16, 64, generator=generator)
    places = torch.randint(1 << 15, (20_000,), generator=generator)
    taken = []
    for _ in range(UNIT_RUNS):
        start = time.thread_time()
        (table[places] @ weights).relu().sum(dim=1).mean()
        taken.append(time.thread_time() - start)
    return min(taken)
