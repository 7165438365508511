"""Lightning's Trainer from the config's `trainer` block, on whatever device there is."""

import inspect
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

import threestudio
from threestudio.errors import UserError, nearest_name
from threestudio.utils.callbacks import (
    CheckpointFiles,
    ConfigSnapshotCallback,
    LastCheckpoint,
    Origin,
    ProgressCallback,
    ResumeState,
)
from threestudio.utils.config import config_to_primitive, refuse_arguments
from threestudio.utils.finite import StopAtNonFinite
from threestudio.utils.interruption import Interruption
from threestudio.utils.live_picture import LivePicture
from threestudio.utils.ranges import Declaration, bounds

OURS = ("callbacks", "logger", "plugins", "default_root_dir", "inference_mode", "enable_model_summary", "barebones")


COUNT, STEPS = bounds(0, 10**9, whole=True), bounds(-1, 10**9, whole=True)  # -1: no end
TRAINER = {
    **dict.fromkeys(("max_steps", "max_epochs", "num_sanity_val_steps"), STEPS),
    **dict.fromkeys(("min_steps", "min_epochs", "log_every_n_steps", "reload_dataloaders_every_n_epochs"), COUNT),
    **dict.fromkeys((f"limit_{phase}_batches" for phase in ("train", "val", "test", "predict")), bounds(0, 10**9)),
    **dict.fromkeys(("accumulate_grad_batches", "check_val_every_n_epoch", "num_nodes"), bounds(1, 10**6, whole=True)),
    "overfit_batches": bounds(0, 10**9),
    "val_check_interval": bounds(1e-6, 10**9, "batches, or as a share of an epoch"),
    "gradient_clip_val": bounds(0, 1e9),
    "devices": bounds(-1, 4096, whole=True, text=True),
}
CHECKPOINT = {
    **{"save_top_k": STEPS, "every_n_train_steps": COUNT, "every_n_epochs": COUNT},
    "train_time_interval": bounds(1, 10**7, "seconds"),
}


def build_trainer(cfg: Any, origin: Origin, system: Any, train: bool, interruption: Interruption) -> pl.Trainer:
    options = _checked("trainer", cfg.trainer, pl.Trainer, OURS, TRAINER)
    show_progress = options.pop("enable_progress_bar", True)
    files = CheckpointFiles()
    callbacks: list[pl.Callback] = [ProgressCallback()] if show_progress else []
    if train:
        callbacks += _training_callbacks(cfg, origin, files, interruption)
    if not cfg.system.get("exporter", {}).get("save_video", False):
        options.setdefault("limit_predict_batches", 1)  # the exporter needs no views
    return _made(
        "trainer",
        pl.Trainer,
        **_on_this_machine(options),
        callbacks=callbacks,
        logger=_loggers(cfg, system) if train else False,
        plugins=[files],
        default_root_dir=cfg.trial_dir,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=train,
        inference_mode=False,  # normals are gradients of the density
    )


def _training_callbacks(cfg: Any, origin: Origin, files: CheckpointFiles, interruption: Interruption) -> list:
    folder = Path(cfg.trial_dir)
    options = _checked("checkpoint", cfg.checkpoint, ModelCheckpoint, ("dirpath",), CHECKPOINT)
    if options.get("train_time_interval") is not None:
        options["train_time_interval"] = timedelta(seconds=options["train_time_interval"])
    options.setdefault("enable_version_counter", False)  # a resumed run goes on with the same last.ckpt
    watching = [LivePicture(folder / "save", cfg.watch_seconds)] if cfg.watch_seconds > 0 else []
    return [
        *watching,
        StopAtNonFinite(str(folder / "ckpts" / "last.ckpt")),  # before anything is saved
        ConfigSnapshotCallback(origin, cfg, folder / "configs"),
        ResumeState(cfg),
        LastCheckpoint(folder / "ckpts" / "last.ckpt", files, interruption),
        _made("checkpoint", ModelCheckpoint, dirpath=folder / "ckpts", **options),
    ]


def _loggers(cfg: Any, system: Any) -> list:
    return [
        TensorBoardLogger(cfg.trial_dir, name="tb_logs"),
        CSVLogger(cfg.trial_dir, name="csv_logs"),
        *system.get_loggers(),
    ]


def _checked(
    name: str, block: Any, target: type, ours: tuple[str, ...], declared: Mapping[str, Declaration]
) -> dict[str, Any]:
    known = set(inspect.signature(target).parameters) - set(ours)
    for key in block:
        if key not in known:
            raise UserError(f"unknown key {name}.{key}; {nearest_name(str(key), known)}")
    refuse_arguments(block, declared, name)
    return config_to_primitive(block)


def _made(block: str, target: Callable[..., Any], **options: Any) -> Any:
    """Lightning checks values only here, and by exceptions of several kinds."""
    try:
        return target(**options)
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise UserError(f"{block}: {error}") from error


def _refuse_crowd(devices: Any, cores: int) -> None:
    """On a CPU each device is a process with a model of its own: hundreds would take the machine down."""
    processes = int(devices) if str(devices).isdecimal() else 1
    if processes > max(2, cores):
        raise UserError(f"trainer.devices: {processes} processes on {cores} cores; at most {max(2, cores)}")


def _on_this_machine(options: dict[str, Any]) -> dict[str, Any]:
    """As upstream on CUDA: all visible devices. On a CPU, what needs CUDA is replaced, and said; what asks for the CPU
    by name (several processes for training, say) is left as it is."""
    if options.get("accelerator") == "cpu":
        _refuse_crowd(options.get("devices", 1), os.cpu_count() or 1)
        return {"devices": 1, **options}
    if torch.cuda.is_available():
        return {"accelerator": "gpu", "devices": -1, **options}
    half = "16" in str(options.get("precision"))
    if half:
        threestudio.info(f"no CUDA device: trainer.precision {options['precision']} becomes 32-true")
    replaced = [key for key in ("accelerator", "devices", "strategy", "num_nodes") if key in options]
    if replaced:
        named = ", ".join(f"trainer.{key}" for key in replaced)
        threestudio.info(f"no CUDA device: {named} ignored, one CPU process is used")
    kept = {key: value for key, value in options.items() if key not in replaced}
    return {"accelerator": "cpu", "devices": 1, **kept, **({"precision": "32-true"} if half else {})}
