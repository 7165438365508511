"""Which checkpoint a run goes on from, and whether it was made by the same config."""

import json
import math
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import threestudio
from threestudio.errors import UserError
from threestudio.utils.checkpoint import REMEDY, refuse_odd_weights, refuse_other_kind
from threestudio.utils.config import config_to_primitive
from threestudio.utils.config_input import literal

# What decides which weights there are.
PARTS = ("geometry", "material", "background", "renderer")
# What of the data belongs to a run, not to its config: a picture, how it is prepared, and the camera that took it.
PICTURE = (
    *("image_path", "background_removal", "object_ratio", "recenter", "fill_white"),
    *("default_elevation_deg", "default_azimuth_deg", "default_camera_distance", "default_fovy_deg"),
)
# The parts of a checkpoint.
LOOKED_AT = {"epoch": int, "global_step": int}
GONE_ON_FROM = {
    **{"optimizer_states": list, "lr_schedulers": list},
    **{"pytorch-lightning_version": str, "loops": dict, "callbacks": dict},
}
OPTIONAL = {"config": dict, "random": dict}
# What decides where a trial's folder is.
TRIAL_NAME = ("exp_root_dir", "name", "tag", "timestamp", "use_timestamp")
# What may differ between a run and its continuation without a word.
FREE = ("resume", "trainer", "checkpoint", "timestamp", "tag", "name", "description", "use_timestamp", "n_gpus")
FREE_PREFIXES = ("exp_", "trial_", "export_", "watch_", "system.exporter", "system.loggers")


def find_checkpoint(resume: str) -> Path:
    """A checkpoint itself, or the last one of a trial folder."""
    path = Path(resume)
    if not path.is_dir():
        return path
    for last in (path / "ckpts" / "last.ckpt", path / "last.ckpt"):
        if last.is_file():
            return last
    raise UserError(f"{path}: has no ckpts/last.ckpt; pass the checkpoint itself as resume=")


def picture_of_run(checkpoint: Mapping[str, Any], cfg: Any) -> list[str]:
    """Overrides by which a run goes on with its own picture and camera, whatever the config's default picture is."""
    saved = checkpoint.get("config") or {}
    if saved.get("data_type") != cfg.data_type:
        return []
    data = saved.get("data")
    if not isinstance(data, Mapping):
        return []
    plain = {key: data[key] for key in PICTURE if isinstance(data.get(key), (str, int, float))}
    values = {key: literal(value) if isinstance(value, str) else value for key, value in plain.items()}
    return [f"data.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]


def adopt_trial_folder(cfg: Any, checkpoint: Path, config: str | None = None) -> None:
    """A checkpoint of this experiment and tag goes on in its own trial folder, whatever time it is.

    With the `config` of that folder itself it does so wherever the folder has been copied to."""
    trial = checkpoint.parent.parent
    same_experiment = os.path.realpath(trial.parent) == os.path.realpath(cfg.exp_dir)
    of_the_folder = config is not None and os.path.realpath(Path(config).parent) == os.path.realpath(trial / "configs")
    tag, _, time = trial.name.rpartition("@") if "@" in trial.name.removeprefix(cfg.tag) else (trial.name, "", "")
    if checkpoint.parent.name == "ckpts" and (of_the_folder or (same_experiment and tag == cfg.tag)):
        cfg.timestamp = f"@{time}" if time else ""
        cfg.exp_dir = str(trial.parent) if of_the_folder else cfg.exp_dir
        cfg.trial_name, cfg.trial_dir = trial.name, os.path.join(cfg.exp_dir, trial.name)


def refuse_incomplete(path: Path, checkpoint: Mapping[str, Any], train: bool) -> None:
    """A looked-at checkpoint has to know its step; one to go on from, the optimiser and Lightning's counters too."""
    for key, kind in (LOOKED_AT | (GONE_ON_FROM if train else {})).items():
        if key not in checkpoint:
            raise UserError(f"{path}: weights without the state of a run (no {key}); pass them as system.weights=")
        refuse_other_kind(path, key, checkpoint[key], kind)
    for key, kind in OPTIONAL.items():
        refuse_other_kind(path, key, checkpoint.get(key, kind()), kind)
    refuse_odd_weights(path, checkpoint["state_dict"])


def refuse_other_optimizer(path: Path, optimizers: Sequence[Optimizer]) -> None:
    """The optimisers, with the states that were restored: torch looks at these only when it steps."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                state = optimizer.state.get(parameter, {})
                if parameter.requires_grad and not state and "betas" in group:
                    raise UserError(f"{path}: optimizer_states: none for some of the weights; {REMEDY}")
                for key, value in state.items():
                    _refuse_other_state(path, key, value, parameter)


def _refuse_other_state(path: Path, key: str, value: Any, parameter: Tensor) -> None:
    if value is None or (isinstance(value, (int, float)) and math.isfinite(value)):
        return
    if isinstance(value, Tensor) and value.numel() > 1 and value.shape != parameter.shape:
        shapes = f"{tuple(value.shape)}, its weights {tuple(parameter.shape)}"
        raise UserError(f"{path}: optimizer_states: {key} is {shapes}; {REMEDY}")
    if not isinstance(value, Tensor) or not value.is_floating_point() or not torch.isfinite(value).all():
        raise UserError(f"{path}: optimizer_states: {key} holds what are no finite numbers; {REMEDY}")


@contextmanager
def restoring(path: str | None) -> Iterator[None]:
    """A block in which Lightning takes a checkpoint up: what it stumbles over there is the file's fault."""
    try:
        yield
    except Exception as error:
        if path is None or hasattr(error, "exit_code") or not _within(error, "checkpoint_connector.py"):
            raise
        found = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
        raise UserError(f"{path}: a part of it is missing or odd ({found}); {REMEDY}") from error


def _within(error: BaseException, file: str) -> bool:
    """Whether it was raised below a function of that file."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(Path(frame.f_code.co_filename).name == file for frame, _ in frames)


def refuse_other_config(path: Path, checkpoint: Mapping[str, Any], cfg: Any, system: nn.Module) -> None:
    """Names the first key by which the checkpoint's config and this one build different weights."""
    differing = list(differences(checkpoint.get("config") or {}, config_to_primitive(cfg)))
    structural = [key for key, *_ in differing if key == "system_type" or _is_type_of_a_part(key)]
    misfit = _first_misfit(checkpoint["state_dict"], system.state_dict())
    if misfit and not structural:
        structural = [key for key, *_ in differing if key.startswith(tuple(f"system.{part}" for part in PARTS))]
    for key, theirs, ours in differing:
        if key in structural:
            raise UserError(
                f"{path}: of another config: {key} is {theirs} there, {ours} here; pass the config it was made with"
            )
    if misfit:
        raise UserError(f"{path}: of another config: {misfit}; pass the config it was made with")


def warn_of_other_settings(checkpoint: Mapping[str, Any], cfg: Any) -> None:
    """A continuation may change settings on purpose; it should know."""
    saved = checkpoint.get("config")
    for key, theirs, ours in differences(saved, config_to_primitive(cfg)) if saved else ():
        if key.split(".")[0] not in FREE and not key.startswith(FREE_PREFIXES):
            threestudio.warn(f"{key} was {theirs} until this checkpoint and is {ours} from here on")


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The keys, with their values here and there, by which two nested configs differ."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in [*theirs, *(key for key in ours if key not in theirs)]:
            yield from differences(theirs.get(key, "unset"), ours.get(key, "unset"), f"{path}.{key}".lstrip("."))
    elif theirs != ours:
        yield path, theirs, ours


def _is_type_of_a_part(key: str) -> bool:
    return key in {f"system.{part}_type" for part in PARTS}


def _first_misfit(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in theirs:
            return f"it lacks {name}"
        if name not in ours:
            return f"it has {name}, which this config does not"
        if theirs[name].shape != ours[name].shape:
            return f"{name} is {tuple(theirs[name].shape)} there, {tuple(ours[name].shape)} here"
        if theirs[name].is_floating_point() != ours[name].is_floating_point():
            return f"{name} is {theirs[name].dtype} there, {ours[name].dtype} here"
    return None
