"""Experiments as YAML: loaded with command-line overrides, and parsed into each component's `Config` dataclass.

A wrong key or value fails here, with its file, its full path and the nearest right name.
"""

import dataclasses
import os
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import threestudio.utils.resolvers  # noqa: F401  (registers what `${...}` may call)
from threestudio.errors import UserError, nearest_name
from threestudio.utils.ranges import Declaration, huge_numbers, refusals, refusals_by_name, within
from threestudio.utils.seeding import LARGEST_SEED

COMMAND_LINE = "command line"


@dataclass
class ExperimentConfig:
    """The top level of every YAML file."""

    name: str = "default"
    description: str = ""
    tag: str = ""
    seed: int = within(0, 0, LARGEST_SEED)
    use_timestamp: bool = True
    timestamp: str | None = None
    exp_root_dir: str = "outputs"

    # Derived by `load_config`: outputs/<name>/<tag>@<time>.
    exp_dir: str = ""
    trial_name: str = ""
    trial_dir: str = ""
    n_gpus: int = within(1, 0, 4096)

    # A checkpoint, or a trial folder whose last checkpoint is meant.
    resume: str | None = None
    # Export the mesh at the end of --train (upstream exports only when asked to).
    export_after_train: bool = False

    data_type: str = ""
    data: dict = field(default_factory=dict)

    system_type: str = ""
    system: dict = field(default_factory=dict)

    # Arguments of Lightning's Trainer and ModelCheckpoint.
    trainer: dict = field(default_factory=dict)
    checkpoint: dict = field(default_factory=dict)


def load_config(*yamls: str, cli_args: Sequence[str] = (), from_string: bool = False, **overrides: Any) -> Any:
    """Merges YAML files (or their texts), `key=value` arguments and keywords, in this order, and resolves `${...}`."""
    given = [_read_string(text) for text in yamls] if from_string else [_read_file(path) for path in yamls]
    cli = _read_cli(cli_args)
    source = yamls[-1] if yamls and not from_string else "config"
    try:
        merged: Any = OmegaConf.merge(*given, cli, overrides)
    except (TypeError, OmegaConfBaseException) as error:  # one gives a list, the other `key.key=value`, say
        raise UserError(
            f"{COMMAND_LINE if cli else source}: {_one_line(error)}; replace the value as a whole"
        ) from None
    _set_source(merged, source, cli)
    try:
        OmegaConf.resolve(merged)
    except OmegaConfBaseException as error:
        raise UserError(f"{source}: {error.full_key or 'top level'}: {_one_line(error)}") from None
    cfg = parse_structured(ExperimentConfig, merged)
    _set_source(cfg, source, cli)
    _name_trial(cfg, source)
    return cfg


def parse_structured(fields: type, cfg: Mapping[str, Any] | DictConfig | None = None) -> Any:
    """`cfg` checked against the dataclass `fields` and completed by its defaults, as a DictConfig.

    Unknown keys, missing values, values of a wrong type and values that are not what the field declares (ranges.py)
    raise a one-line `UserError`.
    """
    given = cfg if isinstance(cfg, DictConfig) else OmegaConf.create(dict(cfg or {}))
    _refuse(huge_numbers(config_to_primitive(given), _path_of(given)), given)
    _refuse_unknown_keys(fields, given, _path_of(given), given)
    try:
        parsed = OmegaConf.merge(OmegaConf.structured(fields), _with_floats(fields, given))
        values: Any = OmegaConf.to_container(parsed, resolve=True)
        _refuse(refusals(fields, values, _path_of(given)), given)
        if hasattr(fields, "__post_init__"):
            parsed = OmegaConf.structured(OmegaConf.to_object(parsed))
    except OmegaConfBaseException as error:
        key = ".".join(part for part in (_path_of(given), error.full_key or "") if part)
        raise UserError(f"{_source_of(given, key)}: {key}: {_one_line(error)}") from None
    missing = sorted(OmegaConf.missing_keys(parsed))
    if missing:
        key = ".".join(part for part in (_path_of(given), missing[0]) if part)
        raise UserError(f"{_source_of(given, key)}: {key} must be given")
    # Under the same parent and key, so that what is parsed from its parts still knows its full path.
    parsed._set_parent(given._get_parent())
    parsed._metadata.key = given._key()
    return parsed


def refuse_arguments(block: Any, declared: Mapping[str, Declaration], path: str) -> None:
    """Checks a block of another library's arguments by their names; `path` is its key."""
    _refuse(refusals_by_name(config_to_primitive(block), declared, path), block)


def config_to_primitive(config: Any, resolve: bool = True) -> Any:
    """Plain dicts, lists and values."""
    return OmegaConf.to_container(config, resolve=resolve) if OmegaConf.is_config(config) else config


def dump_config(path: str, config: Any) -> None:
    with open(path, "w", encoding="utf-8") as file:
        OmegaConf.save(config=config, f=file)


def _read_file(path: str) -> DictConfig:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, not a config file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None
    return _read_string(text, path)


def _read_string(text: str, source: str = "config") -> DictConfig:
    try:
        parsed = OmegaConf.create(text)
    except yaml.YAMLError as error:
        raise UserError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{source}: {_one_line(error)}") from None
    if not isinstance(parsed, DictConfig):
        raise UserError(f"{source}: expected `key: value` lines at its top level")
    return parsed


def _read_cli(arguments: Sequence[str]) -> DictConfig:
    for argument in arguments:
        if argument.startswith(("-", "=")) or "=" not in argument:
            raise UserError(f"{COMMAND_LINE}: unknown argument {argument}; settings are given as key=value")
        try:
            OmegaConf.from_cli([argument])
        except (yaml.YAMLError, OmegaConfBaseException) as error:
            hint = "put a value with special characters in quotes of its own"
            raise UserError(f"{COMMAND_LINE}: {argument}: {_one_line(error)}; {hint}") from None
    return OmegaConf.from_cli(list(arguments))


def _name_trial(cfg: Any, source: str) -> None:
    """Folder names of this run; a config saved by an earlier run brings its timestamp along."""
    if not cfg.tag and not cfg.use_timestamp:
        raise UserError(f"{source}: give a tag, or leave use_timestamp true, so that the run has a folder of its own")
    if cfg.timestamp is None:
        several = cfg.n_gpus > 1  # each process would read another time
        cfg.timestamp = datetime.now().strftime("@%Y%m%d-%H%M%S") if cfg.use_timestamp and not several else ""
    cfg.trial_name = f"{cfg.tag}{cfg.timestamp}"
    cfg.exp_dir = os.path.join(cfg.exp_root_dir, cfg.name)
    cfg.trial_dir = os.path.join(cfg.exp_dir, cfg.trial_name)


def _refuse_unknown_keys(fields: type, given: Any, path: str, root: DictConfig) -> None:
    known: dict[str, Any] = {part.name: part.type for part in dataclasses.fields(fields)}
    for key in given:
        full_key = f"{path}.{key}" if path else str(key)
        if key not in known:
            hint = nearest_name(str(key), known)
            raise UserError(f"{_source_of(root, full_key)}: unknown key {full_key}; {hint}")
        value = given._get_node(key)
        if dataclasses.is_dataclass(known[key]) and isinstance(value, DictConfig):
            _refuse_unknown_keys(known[key], value, full_key, root)


def _with_floats(fields: type, given: Any) -> Any:
    """Whole numbers as floats where a field takes a float or something else, which OmegaConf takes at its word."""
    hints = typing.get_type_hints(fields)
    whole = [
        key
        for key, value in given.items_ex(resolve=False)
        if type(value) is int and float in typing.get_args(hints[key]) and int not in typing.get_args(hints[key])
    ]
    if not whole:
        return given
    adjusted = given.copy()
    for key in whole:
        adjusted[key] = float(given[key])
    return adjusted


def _refuse(found: Iterable[tuple[str, str]], given: Any) -> None:
    for key, problem in found:
        source = _source_of(given, key) if isinstance(given, DictConfig) else "config"
        raise UserError(f"{source}: {key}: {problem}")


def _path_of(cfg: DictConfig) -> str:
    return cfg._get_full_key(None) or ""


def _set_source(cfg: DictConfig, source: str, cli: DictConfig) -> None:
    """Kept beside the content, for messages."""
    cfg.__dict__["_source"] = (source, cli)


def _source_of(cfg: DictConfig, key: str) -> str:
    """Where `key` was written: the file's name, or the command line."""
    root = cfg._get_root()
    source, cli = root.__dict__.get("_source", ("config", OmegaConf.create()))
    return COMMAND_LINE if OmegaConf.select(cli, key, default=None) is not None else source


def _one_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
