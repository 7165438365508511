"""Experiments as YAML: loaded with command-line overrides, and parsed into each component's `Config` dataclass.

A wrong key or value fails here, with its file, its full path and the nearest right name.
"""

import dataclasses
import os
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import threestudio.utils.resolvers  # noqa: F401  (registers what `${...}` may call)
from threestudio.errors import UserError, nearest_name
from threestudio.utils.config_input import COMMAND_LINE, first_line, literal, read_arguments, read_file, read_string
from threestudio.utils.files import folder_name
from threestudio.utils.ranges import Declaration, huge_numbers, refusals, refusals_by_name, within
from threestudio.utils.seeding import LARGEST_SEED

PROJECT = Path(__file__).resolve().parents[2]
OF_THE_PROJECT = ("image_path", "train_folder", "val_folder")  # keys of data that shipped configs name its files by


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
    # For whoever watches: so often a line of progress and a picture of the field, save/live.jpg; 0: neither.
    watch_seconds: float = within(0.0, 0, 3600, "seconds")

    data_type: str = ""
    data: dict = field(default_factory=dict)

    system_type: str = ""
    system: dict = field(default_factory=dict)

    # Arguments of Lightning's Trainer and ModelCheckpoint.
    trainer: dict = field(default_factory=dict)
    checkpoint: dict = field(default_factory=dict)


def load_config(*yamls: str, cli_args: Sequence[str] = (), from_string: bool = False, **overrides: Any) -> Any:
    """Merges YAML files (or their texts), `key=value` arguments and keywords, in this order, and resolves `${...}`."""
    given = [read_string(text) for text in yamls] if from_string else [read_file(path) for path in yamls]
    cli = read_arguments(cli_args)
    source = yamls[-1] if yamls and not from_string else "config"
    try:
        merged: Any = OmegaConf.merge(*given, cli, overrides)
    except (TypeError, OmegaConfBaseException) as error:  # one gives a list, the other `key.key=value`, say
        raise UserError(
            f"{COMMAND_LINE if cli else source}: {first_line(error)}; replace the value as a whole"
        ) from None
    _find_in_project(merged, cli)
    _set_source(merged, source, cli)
    _resolve(merged, source)
    cfg = parse_structured(ExperimentConfig, merged)
    _set_source(cfg, source, cli)
    _name_trial(cfg, source)
    return cfg


def _find_in_project(cfg: DictConfig, cli: DictConfig) -> None:
    """A shipped config's demo picture is found from any folder; what the command line names is where the user is."""
    data, named = (config_to_primitive(part, resolve=False).get("data") for part in (cfg, cli))
    for key in OF_THE_PROJECT if isinstance(data, Mapping) else ():
        path = data.get(key)
        said = isinstance(named, Mapping) and key in named
        if isinstance(path, str) and path and not said and not os.path.lexists(path) and (PROJECT / path).exists():
            OmegaConf.update(cfg, f"data.{key}", literal(str(PROJECT / path)))


def _resolve(cfg: Any, source: str) -> None:
    """Once and for all: what a value has become, a picture's name say, is never called again."""
    try:
        OmegaConf.resolve(cfg)
    except OmegaConfBaseException as error:
        key = error.full_key or "top level"
        raise UserError(f"{_source_of(cfg, key)}: {key}: {first_line(error)}") from None
    for node in _nodes(cfg):
        if isinstance(node._value(), str):
            node._set_value(literal(node._value()))


def _nodes(container: Any) -> Iterator[Any]:
    """The values in it, however deep."""
    if container._is_none() or container._is_missing():
        return
    keys = container.keys() if isinstance(container, DictConfig) else range(len(container))
    for key in keys:
        node = container._get_node(key)
        if OmegaConf.is_config(node):
            yield from _nodes(node)
        elif not node._is_missing():
            yield node


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
    except (OmegaConfBaseException, TypeError, AttributeError, KeyError, OverflowError) as error:
        # OmegaConf's own know where, unless it is a block where a list is to be, a list of another length, ...
        where = getattr(error, "full_key", None) or _misfit(fields, given)
        key = ".".join(part for part in (_path_of(given), where) if part)
        raise UserError(f"{_source_of(given, key)}: {key}: {first_line(error)}") from None
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


def _name_trial(cfg: Any, source: str) -> None:
    """Folder names of this run; a config saved by an earlier run brings its timestamp along."""
    if not cfg.tag and not cfg.use_timestamp:
        raise UserError(f"{source}: give a tag, or leave use_timestamp true, so that the run has a folder of its own")
    if cfg.timestamp is None:
        several = cfg.n_gpus > 1  # each process would read another time
        cfg.timestamp = datetime.now().strftime("@%Y%m%d-%H%M%S") if cfg.use_timestamp and not several else ""
    cfg.tag = folder_name(cfg.tag)
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


def _misfit(fields: type, given: Any) -> str:
    """The first key whose value alone does not go into its field."""
    for key, value in given.items_ex(resolve=False):
        try:
            OmegaConf.merge(OmegaConf.structured(fields), {key: value})
        except Exception:
            return str(key)
    return ""


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
    part: Any = config_to_primitive(cli, resolve=False)
    for name in key.split("."):
        if not isinstance(part, Mapping) or name not in part:
            return source
        part = part[name]
    return COMMAND_LINE
