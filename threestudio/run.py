"""One run of an experiment: its trial folder, its data and system, and the phases asked for."""

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.model_helpers import is_overridden

import threestudio
from threestudio.elevation.setting import with_elevation
from threestudio.errors import UserError
from threestudio.extensions import load_extensions
from threestudio.utils.atomic import remove_unfinished
from threestudio.utils.callbacks import Origin
from threestudio.utils.checkpoint import load_checkpoint
from threestudio.utils.config import load_config
from threestudio.utils.interruption import Interrupted, Interruption
from threestudio.utils.misc import get_rank, set_seed
from threestudio.utils.resume import (
    TRIAL_NAME,
    adopt_trial_folder,
    find_checkpoint,
    picture_of_run,
    refuse_incomplete,
    refuse_other_config,
    restoring,
    warn_of_other_settings,
)
from threestudio.utils.trainer import build_trainer

MODES = ("train", "validate", "test", "export")


def run(
    arguments: argparse.Namespace,
    overrides: list[str],
    interruption: Interruption,
    custom: Path,
    command: Sequence[str] | None = None,
) -> None:
    """`arguments` are launch.py's; `custom` is the folder of the extensions; `command`, which the run keeps, is this
    process's unless given."""
    load_extensions(custom)
    n_gpus = max(torch.cuda.device_count(), 1)

    def config(before: Sequence[str] = (), after: Sequence[str] = ()) -> Any:
        return load_config(arguments.config, cli_args=[*before, *overrides, *after], n_gpus=n_gpus)

    cfg, kept = config(), []
    mode = next(mode for mode in MODES if getattr(arguments, mode))
    checkpoint = _resumed_checkpoint(cfg, mode)
    path = cfg.resume
    if checkpoint is not None:
        kept = picture_of_run(checkpoint, cfg)
        cfg = config(kept)
    cfg = with_elevation(cfg, lambda found: config(kept, found))
    if checkpoint is not None:
        cfg.resume = path
        told_where = any(override.partition("=")[0] in TRIAL_NAME for override in overrides)
        adopt_trial_folder(cfg, Path(path), None if told_where else arguments.config)
    refuse_unwritable(Path(cfg.trial_dir))
    set_seed(cfg.seed)
    pl.seed_everything(cfg.seed + get_rank(), workers=True)

    data = threestudio.find(cfg.data_type)(cfg.data)
    system = threestudio.find(cfg.system_type)(cfg.system, resumed=checkpoint is not None)
    step = {"test": "test_step", "export": "predict_step"}.get(mode)
    if step is not None and not is_overridden(step, system):
        raise UserError(f"{cfg.system_type} has nothing to {mode}: pass --train or --validate")
    system.set_save_dir(os.path.join(cfg.trial_dir, "save"))
    if checkpoint is not None:
        _take_up(checkpoint, cfg, system, mode)
    trainer = build_trainer(cfg, Origin(arguments.config, command or sys.argv), system, mode == "train", interruption)
    with _TrialFolder(Path(cfg.trial_dir), trainer), restoring(cfg.resume):
        _phases(mode, cfg, trainer, system, data)
    if trainer.is_global_zero:
        threestudio.info(f"Results are in {cfg.trial_dir}")


def _phases(mode: str, cfg: Any, trainer: pl.Trainer, system: Any, data: Any) -> None:
    if mode == "train":
        trainer.fit(system, datamodule=data, ckpt_path=cfg.resume)
        if is_overridden("test_step", system):
            trainer.test(system, datamodule=data, verbose=False)
        if cfg.export_after_train:
            trainer.predict(system, datamodule=data, return_predictions=False)
    elif mode == "validate":
        trainer.validate(system, datamodule=data, ckpt_path=cfg.resume, verbose=False)
    elif mode == "test":
        trainer.test(system, datamodule=data, ckpt_path=cfg.resume, verbose=False)
    else:
        trainer.predict(system, datamodule=data, ckpt_path=cfg.resume, return_predictions=False)


def _resumed_checkpoint(cfg: Any, mode: str) -> dict[str, Any] | None:
    """The checkpoint that `resume` means."""
    if getattr(threestudio.find(cfg.system_type), "nothing_to_train", False):
        if mode != "test" or cfg.resume is not None:
            raise UserError(f"{cfg.system_type} trains nothing: pass --test, without resume=")
        return None
    if cfg.resume is None:
        if mode != "train":
            raise UserError(f"--{mode} needs a checkpoint: pass resume=<trial folder> or resume=<file>.ckpt")
        return None
    path = find_checkpoint(cfg.resume)
    cfg.resume = str(path)
    checkpoint = load_checkpoint(path)
    refuse_incomplete(path, checkpoint, mode == "train")
    return checkpoint


def _take_up(checkpoint: dict[str, Any], cfg: Any, system: Any, mode: str) -> None:
    refuse_other_config(Path(cfg.resume), checkpoint, cfg, system)
    if mode == "train":
        warn_of_other_settings(checkpoint, cfg)
    else:
        # Lightning restores these two only for training.
        system.set_resume_status(checkpoint["epoch"], checkpoint["global_step"])


def refuse_unwritable(folder: Path) -> None:
    """Before any work: can this folder be made, and written to?"""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise UserError(f"{existing}: not a folder, so {folder} cannot be made in it; pass another exp_root_dir=")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{existing}: no permission to write there; pass another exp_root_dir=")


class _TrialFolder:
    """Clears away what a killed run has left in its folder, and the folders in which this one came to nothing."""

    def __init__(self, folder: Path, trainer: pl.Trainer) -> None:
        self.folder, self.trainer = folder, trainer
        self.existed = folder.exists()
        self.made = [path for path in folder.parents if not path.exists()]

    def __enter__(self) -> None:
        if self.trainer.is_global_zero:
            remove_unfinished(self.folder)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        for logger in self.trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.close()  # else its thread writes into the folder when that is gone
        foreseen = hasattr(error, "exit_code") or isinstance(error, OSError)
        if foreseen and not self.existed and not any(self.folder.glob("ckpts/*.ckpt")):
            shutil.rmtree(self.folder, ignore_errors=True)
            for path in self.made:
                with contextlib.suppress(OSError):  # not there, or not empty: another run is at work in it
                    path.rmdir()
        if isinstance(error, Interrupted):
            threestudio.warn(how_to_go_on(self.folder))


def how_to_go_on(folder: Path) -> str:
    last = folder / "ckpts" / "last.ckpt"
    if not last.is_file():
        return "interrupted before the first checkpoint; start again with the same command"
    config = folder / "configs" / "parsed.yaml"
    return f"interrupted; go on with: python launch.py --config '{config}' --train resume='{last}'"
