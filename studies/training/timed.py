"""All of a training within so many minutes, on a machine that was rented for as long: data, Base, its decay, Refiner.

Shares of the time, and what of it is measured on the way:

    until 20 %   views are rendered, on all cores; as many as the first ones say there is time for
    until 62 %   Base is trained at a constant rate
    until 75 %   its decay, of three tenths of the steps so far
    until 95 %   the Refiner, of as many steps, which are slower

Each part is a process of its own that keeps a checkpoint a minute, so that whatever ends it costs a minute at most, and
goes on from there when all is called again.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.training.decay import decay_of, kept_start
from studies.training.runs import ROOT, Run, last_checkpoint, stopped, trained
from threestudio.errors import UserError
from threestudio.utils.checkpoint import load_checkpoint

RENDERED, CONSTANT = 0.2, 0.62  # shares of the time at which these are to be over
DECAY = (
    0.3  # of the steps before; so many are the Refiner's too, each of which takes 1.5 times as long (docs/results.md)
)
EVERY_MINUTE = ["checkpoint.every_n_train_steps=null", "checkpoint.train_time_interval=60"]
ENDLESS = ["system.decay_steps=0", "trainer.max_steps=100000000", "trainer.val_check_interval=1000"]
VIEWS = ["--layout", "cascade", "--packed"]
VALIDATION_OBJECTS, FEWEST, MOST = 48, 64, 20_000
REAL_OBJECTS = 400  # about as many models are trained on
MOST_VARIANTS = 8


@dataclass(frozen=True)
class Device:
    """How it trains, by keys of both configs; `base` and `refiner` are rates for its batches."""

    shared: Sequence[str]
    base: Sequence[str] = ()
    refiner: Sequence[str] = ()
    encoder_steps_a_minute: int = 20


def device_of(name: str, cores: int) -> Device:
    if name == "cpu":
        return Device([])
    on_one = ["trainer.accelerator=gpu", "trainer.devices=1", "trainer.strategy=auto", "trainer.precision=bf16-mixed"]
    batches = ["data.batch_size=256", f"data.num_workers={max(1, cores - 2)}"]
    return Device(
        [*on_one, *batches],
        ["system.learning_rate=1.4e-3"],
        ["system.learning_rate=6e-4"],
        encoder_steps_a_minute=100,
    )


class Clock:
    """Counts from when it was made."""

    def __init__(self, minutes: float) -> None:
        self.seconds, self.start = 60.0 * minutes, time.monotonic()

    def until(self, share: float) -> float:
        """Seconds from now until this share of the time is over; 0 when it is."""
        return max(0.0, self.start + share * self.seconds - time.monotonic())


def train_within(
    minutes: float, device: Device, out: Path, configs: tuple[str, str], package: Path | None, overrides: Sequence[str]
) -> Path:
    """The folder of the pair; `configs` are Base's and the Refiner's, `package` the real objects'."""
    clock = Clock(minutes)
    shared = [*rendered(out / "data", clock, package), *EVERY_MINUTE, *device.shared]
    encoder_steps = max(1, min(1200, round(device.encoder_steps_a_minute * minutes)))
    endless = [*ENDLESS, f"system.encoder_steps={encoder_steps}"]
    constant = Run("base-constant", configs[0], [*shared, *endless, *device.base, *overrides])
    if not kept_start(out, "base").is_file():
        stopped(constant, out, clock.until(CONSTANT))
    checkpoint = last_checkpoint(out, constant.name)
    count = max(2, round(DECAY * load_checkpoint(checkpoint)["global_step"]))
    base = trained(decay_of(checkpoint, count, "base", out), out) / "base"
    falling = [f"system.constant_steps={count // 3}", f"system.decay_steps={count}", f"trainer.max_steps={count}"]
    start = [f"system.init_weights={base}", f"trainer.val_check_interval={count}"]
    return trained(Run("refiner", configs[1], [*shared, *falling, *start, *device.refiner, *overrides]), out)


def rendered(folder: Path, clock: Clock, package: Path | None) -> list[str]:
    """Where the views are, as keys of the data."""
    began = time.monotonic()
    _run("render_views.py", "--generate", VALIDATION_OBJECTS, "--split", "val", *VIEWS, folder / "val")
    a_second = VALIDATION_OBJECTS / (time.monotonic() - began)  # starting up is in it, which is on the safe side
    share = 0.5 if package else 1.0
    count = int(min(MOST, max(FEWEST, share * a_second * clock.until(RENDERED))))
    if not (folder / "train/meta.json").is_file():
        _run("render_views.py", "--generate", count, "--split", "train", *VIEWS, folder / "train")
    keys = [f"data.train_folder={folder / 'train'}", f"data.val_folder={folder / 'val'}"]
    if package is None:
        return keys
    if not (folder / "real/meta.json").is_file():
        variants = max(1, min(MOST_VARIANTS, count // REAL_OBJECTS))
        _run("make_real_objects.py", package, folder / "real-meshes")
        _run("render_views.py", folder / "real-meshes/train", "--variants", variants, *VIEWS, folder / "real")
    return [*keys, f"data.mixed_with=[[{folder / 'real'},0.5]]"]


def _run(script: str, *arguments: object) -> None:
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise UserError(f"{' '.join(command[1:])}: failed, as said above")
