"""From a command's arguments to jobs: every picture by every config, picture by picture."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cascade_zero123.cascade.cache import weights_fingerprint
from cascade_zero123.zero123.weights.loading import weights_files

from studies.reconstruction.batch import refuse_other_settings
from studies.reconstruction.job import Job
from studies.reconstruction.pictures import find_pictures
from studies.reconstruction.settings import DECIDED, settings
from studies.store import read_json
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.config import config_to_primitive, load_config
from threestudio.utils.files import storable
from threestudio.utils.named_weights import named_weights

ROOT = Path(__file__).resolve().parents[2]
DECIDING = ("seed", "data_type", "data", "system_type", "system", "trainer")


def planned(
    folder: Path, configs: Sequence[Path], overrides: Sequence[str], out: Path, clip: Path | None = None
) -> list[Job]:
    """Nothing is written yet, but what is wrong with the command is found out."""
    methods = {config.stem: config for config in configs}
    if len(methods) < len(configs):
        raise UserError("--config: two files of one name; rename one, for their results go by it")
    refuse_decided(overrides)
    if clip is not None and not (clip / "config.json").is_file():
        raise UserError(f"{clip}: no CLIP in it (config.json and *.safetensors, as transformers saves them)")
    return [
        Job(
            picture=picture.name,
            path=storable(os.path.abspath(picture.path)),
            method=method,
            config=os.path.abspath(config),
            overrides=tuple(overrides),
            out=os.path.abspath(out),
            clip=None if clip is None else os.path.abspath(clip),
        )
        for picture in find_pictures(folder)
        for method, config in methods.items()
    ]


def refuse_decided(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.split("=", 1)[0]
        if key in DECIDED:
            raise UserError(f"command line: {key} is decided for each picture; leave it out")


def settled(jobs: Sequence[Job]) -> tuple[list[Job], dict[str, dict[str, Any]]]:
    """The jobs with configs of their own in the output folder, and each method's settings.

    A config file that is edited while a batch is at work, or stands still, would split its results in two.
    """
    found: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if job.method not in found:
            found[job.method] = settings_of(job)
            refuse_other_settings(job.method, Path(job.out), found[job.method])
            with atomic_path(own_config(job)) as partial:
                shutil.copyfile(job.config, partial)
    return [replace(job, config=str(own_config(job))) for job in jobs], found


def own_config(job: Job) -> Path:
    return job.folder.parent / "config.yaml"


def settings_of(job: Job) -> dict[str, Any]:
    """What a method's results depend on, beside the pictures and the code."""
    any_picture = Job("picture", "picture.png", job.method, job.config, job.overrides, "")
    cfg = config_to_primitive(load_config(job.config, cli_args=settings(any_picture)))
    return deciding(cfg)


def deciding(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Of a config, what its results depend on; of the weights on this machine, what changes with their content."""
    guidance = cfg["system"].get("guidance") or {}
    weights = {}
    for name, part in named_weights(guidance).items():
        places = [place for at in (Path(), ROOT) if (place := at / str(part["weights"])).exists()]
        if places:
            weights[name] = weights_fingerprint(weights_files(places[0], part.get("config")))
    return {**{key: cfg[key] for key in DECIDING}, "weights": weights}


def notices(methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which weights made the results, and what their makers want to be said of them."""
    lines = []
    for method, its in methods.items():
        weights = [part["weights"] for part in named_weights(its["system"].get("guidance") or {}).values()]
        lines.append(f"{method}: weights {' and '.join(map(str, weights)) or 'none named'}.")
        for path in weights:
            lines.append((read_json(Path(path) / "zero123.json") or {}).get("notice", ""))
    return [line for line in dict.fromkeys(lines) if line]
