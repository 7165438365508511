"""Lightning's Trainer from the config's `trainer` block, on whatever device there is."""

import inspect
from collections.abc import Callable
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
    ProgressCallback,
    ResumeState,
)
from threestudio.utils.config import config_to_primitive
from threestudio.utils.interruption import Interruption

OURS = ("callbacks", "logger", "plugins", "default_root_dir", "inference_mode", "enable_model_summary", "barebones")


def build_trainer(cfg: Any, config_path: str, system: Any, train: bool, interruption: Interruption) -> pl.Trainer:
    options = _checked("trainer", config_to_primitive(cfg.trainer), pl.Trainer, OURS)
    show_progress = options.pop("enable_progress_bar", True)
    files = CheckpointFiles()
    callbacks: list[pl.Callback] = [ProgressCallback()] if show_progress else []
    if train:
        callbacks += _training_callbacks(cfg, config_path, files, interruption)
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


def _training_callbacks(cfg: Any, config_path: str, files: CheckpointFiles, interruption: Interruption) -> list:
    folder = Path(cfg.trial_dir)
    options = _checked("checkpoint", config_to_primitive(cfg.checkpoint), ModelCheckpoint, ("dirpath",))
    options.setdefault("enable_version_counter", False)  # a resumed run goes on with the same last.ckpt
    return [
        ConfigSnapshotCallback(config_path, cfg, folder / "configs"),
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


def _checked(block: str, options: dict[str, Any], target: type, ours: tuple[str, ...]) -> dict[str, Any]:
    known = set(inspect.signature(target).parameters) - set(ours)
    for key in options:
        if key not in known:
            raise UserError(f"unknown key {block}.{key}; {nearest_name(key, known)}")
    return options


def _made(block: str, target: Callable[..., Any], **options: Any) -> Any:
    """Lightning checks values only here, and by exceptions of several kinds."""
    try:
        return target(**options)
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise UserError(f"{block}: {error}") from error


def _on_this_machine(options: dict[str, Any]) -> dict[str, Any]:
    """As upstream on CUDA: all visible devices. On a CPU, what needs CUDA is replaced, and said; what asks for the CPU
    by name (several processes for training, say) is left as it is."""
    if options.get("accelerator") == "cpu":
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
