"""The end of a training: from one of its checkpoints on, the rate falls to nothing, and the weights become the best.

The training itself may go on at its constant rate, over days, and end again from a later checkpoint (Hägele et al.
2024, "Scaling laws and compute-optimal training beyond fixed training durations").
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies.training.runs import Run
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.checkpoint import load_checkpoint


def decay_of(checkpoint: Path, steps: int, name: str, out: Path, overrides: Sequence[str] = ()) -> Run:
    """A run of so many steps from `checkpoint`, of which OUT keeps a copy: what it is of may move on."""
    if steps < 1:
        raise UserError(f"{steps} steps; a decay takes at least 1")
    start = kept_start(out, name)
    if not start.is_file():
        _keep(checkpoint, start)
    first = _first_step(start, load_checkpoint(start))
    schedule = {
        "system.constant_steps": first,
        "system.decay_steps": first + steps,
        "trainer.max_steps": first + steps,
    }
    falling = [*(f"{key}={value}" for key, value in schedule.items()), "system.stop_at=null"]
    return Run(name, str(start.with_name("config.yaml")), [*falling, *overrides], start)


def kept_start(out: Path, name: str) -> Path:
    """Where the copy lies, with the config of its run beside it."""
    return out / f"{name}-start" / "start.ckpt"


def _keep(checkpoint: Path, copy: Path) -> None:
    config = checkpoint.parent.parent / "configs/parsed.yaml"
    if not config.is_file():
        raise UserError(f"{config}: missing; {checkpoint} has to lie in the ckpts folder of its run")
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(config, copy.with_name("config.yaml"))
    with atomic_path(copy) as unfinished:
        shutil.copyfile(checkpoint, unfinished)


def _first_step(file: Path, checkpoint: dict[str, Any]) -> int:
    """The checkpoint's, if the rate has not begun to fall there."""
    step, system = int(checkpoint["global_step"]), checkpoint["config"]["system"]
    constant = system.get("constant_steps", 0)
    if system.get("decay_steps", 0) and step > constant:
        raise UserError(f"{file}: of step {step}, and its rate falls from step {constant} on; take an earlier one")
    return step
