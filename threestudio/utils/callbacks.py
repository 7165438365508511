"""What happens around training: progress, the saved config, checkpoints that can be resumed exactly, interruption."""

import copy
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.checkpoint import REMEDY, load_checkpoint, save_checkpoint
from threestudio.utils.config import config_to_primitive, dump_config
from threestudio.utils.files import storable
from threestudio.utils.interruption import Interrupted, Interruption
from threestudio.utils.progress import Stage, stage
from threestudio.utils.random_state import random_state, set_random_state
from threestudio.utils.resume import refuse_other_optimizer


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's reading and writing of checkpoints, by way of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, int] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        save_checkpoint(checkpoint, path)
        self.written[str(path)] = checkpoint["global_step"]

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: Any = None) -> dict[str, Any]:
        return load_checkpoint(path, map_location)


class ResumeState(pl.Callback):
    """Makes every checkpoint one from which training goes on exactly as if it had not stopped.

    A checkpoint written during validation still describes the end of the last training step: random states and
    Lightning's loop counters are taken there.
    """

    def __init__(self, cfg: Any) -> None:
        self.config = config_to_primitive(cfg)
        self.random: dict[str, Any] | None = None
        self.just_loaded = False
        self.loops: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.just_loaded and trainer.global_step > 0:
            refuse_other_optimizer(Path(str(trainer.ckpt_path)), trainer.optimizers)

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """As late as possible: starting up draws numbers too."""
        if self.just_loaded and self.random is not None:
            try:
                set_random_state(self.random)
            except Exception as error:  # Python, numpy and torch check theirs in their own ways
                raise UserError(f"{trainer.ckpt_path}: random is no state of random numbers; {REMEDY}") from error
        self.just_loaded = False

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.random = random_state()
        self.loops = copy.deepcopy(trainer.fit_loop.state_dict())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation must not disturb training: a resumed run may not repeat it."""
        if self.random is not None:
            set_random_state(self.random)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        checkpoint["config"] = self.config
        checkpoint["random"] = self.random or random_state()
        if trainer.validating and self.loops:
            checkpoint["loops"]["fit_loop"] = self.loops

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        self.random, self.just_loaded = checkpoint.get("random"), True


class LastCheckpoint(pl.Callback):
    """Writes `last.ckpt` at the end of training, and when the user interrupts it.

    Of several processes any may get the signal, and the first alone knows what is written; all do the same, or one
    would wait for the others forever. Within a step that accumulates gradients nothing is saved: they would be lost.
    """

    def __init__(self, path: Path, files: CheckpointFiles, interruption: Interruption) -> None:
        self.path, self.files, self.interruption = path, files, interruption

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.interruption.deferred = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        if (i + 1) % trainer.accumulate_grad_batches == 0:
            self.stop_if_interrupted(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.stop_if_interrupted(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.save(trainer)
        self.interruption.deferred = False
        if self.interruption.pending is not None:
            raise Interrupted(self.interruption.pending)

    def stop_if_interrupted(self, trainer: pl.Trainer) -> None:
        if not self.interruption.deferred:
            return
        pending = self.interruption.pending
        if trainer.strategy.reduce_boolean_decision(pending is not None, all=False):
            self.save(trainer)
            raise Interrupted(signal.SIGTERM if pending is None else pending)

    def save(self, trainer: pl.Trainer) -> None:
        written = self.files.written.get(str(self.path)) == trainer.global_step
        if not trainer.strategy.broadcast(written):
            trainer.save_checkpoint(self.path)


@dataclass(frozen=True)
class Origin:
    """What a run was started by: the config as the user wrote it, and the command that repeats it by hand."""

    config: str
    command: Sequence[str]


class ConfigSnapshotCallback(pl.Callback):
    """Keeps the config as written (raw.yaml), as used (parsed.yaml), and the command line."""

    def __init__(self, origin: Origin, config: Any, save_root: str | os.PathLike[str]) -> None:
        self.origin, self.config, self.folder = origin, config, Path(save_root)

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with atomic_path(self.folder / "raw.yaml") as path:
            shutil.copyfile(self.origin.config, path)
        with atomic_path(self.folder / "parsed.yaml") as path:
            dump_config(str(path), self.config)
        with atomic_path(self.folder / "cmd.txt") as path:
            path.write_text(" ".join(["python", *map(storable, self.origin.command)]) + "\n", encoding="utf-8")


class ProgressCallback(pl.Callback):
    """One stage each for training, validation, the turntable and the export."""

    def __init__(self) -> None:
        self.open: list[tuple[Any, Stage]] = []

    def begin(self, trainer: pl.Trainer, name: str, total: float | None, done: int = 0) -> None:
        if trainer.is_global_zero:
            known = int(total) if total is not None and 0 < total < float("inf") else None
            context = stage(name, known, done)
            self.open.append((context, context.__enter__()))

    def step(self, note: str | None = None) -> None:
        if self.open:
            self.open[-1][1].advance(note=note)

    def end(self, error: BaseException | None = None) -> None:
        if self.open:
            context, _ = self.open.pop()
            context.__exit__(type(error) if error else None, error, None)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin(trainer, "train", trainer.max_steps, trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.step(losses(trainer))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin(trainer, "validate", sum(trainer.num_val_batches))

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.step()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin(trainer, "turntable", sum(trainer.num_test_batches))

    def on_test_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.step()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end()

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin(trainer, "export", None)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        while self.open:
            self.end(exception)


def losses(trainer: pl.Trainer) -> str:
    """What the system logs with `prog_bar=True`, without the group in front of the slash."""
    return ", ".join(
        f"{name.split('/')[-1]} {float(value):.4g}" for name, value in trainer.progress_bar_metrics.items()
    )
