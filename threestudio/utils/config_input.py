"""What a config is read from: YAML files, texts and `key=value` arguments, none of which is trusted.

What is too large, too deep or no YAML ends in one line before anything is made of it.
"""

import os
import re
from collections.abc import Sequence

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from threestudio.errors import UserError
from threestudio.utils.files import on_disk, regular_file, storable

COMMAND_LINE = "command line"
PATHS = ("data.image_path", "resume", "exp_root_dir")
LARGEST_FILE = 1 << 20  # bytes of a config
DEEPEST, MOST_ALIASES = 32, 16  # of blocks in blocks, and of what stands for another part


def literal(text: str) -> str:
    """As OmegaConf has to be given a text for it to mean just that: `${` calls nothing."""
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + "\\${", text)


def read_file(path: str) -> DictConfig:
    place = regular_file(path, "no such config file", "a folder, not a config file")
    with open(place, "rb") as file:
        content = file.read(LARGEST_FILE + 1)
    try:
        return read_string(content.decode(), path)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None


def read_string(text: str, source: str = "config") -> DictConfig:
    refuse_hostile(text, source)
    try:
        parsed = OmegaConf.create(text)
    except OmegaConfBaseException as error:
        raise UserError(f"{source}: {first_line(error)}") from None
    except Exception as error:  # what a number, a date or a tag in it makes of its parser
        raise UserError(f"{source}: not YAML: {' '.join(str(error).split()):.300}") from None
    if not isinstance(parsed, DictConfig) or not all(isinstance(key, str) for key in parsed):
        raise UserError(f"{source}: expected `key: value` lines at its top level")
    return parsed


def read_arguments(arguments: Sequence[str]) -> DictConfig:
    cli = OmegaConf.create()
    for argument in map(storable, arguments):
        if argument.startswith(("-", "=")) or "=" not in argument:
            raise UserError(f"{COMMAND_LINE}: unknown argument {argument}; settings are given as key=value")
        cli = OmegaConf.merge(cli, _read_argument(argument))  # type: ignore[assignment]
    return cli


def _read_argument(argument: str) -> DictConfig:
    key, _, value = argument.partition("=")
    if key in PATHS and os.path.lexists(on_disk(value)):  # a file's name is no YAML, whatever stands in it
        named = OmegaConf.create()
        OmegaConf.update(named, key, literal(value), force_add=True)
        return named
    refuse_hostile(value, f"{COMMAND_LINE}: {argument:.80}")
    try:
        return OmegaConf.from_cli([argument])
    except Exception as error:
        hint = "put a value with special characters in quotes of its own"
        raise UserError(f"{COMMAND_LINE}: {argument:.80}: {first_line(error)}; {hint}") from None


def refuse_hostile(text: str, source: str) -> None:
    """By its events alone, before anything is made of it: what is too large, too deep, or stands for ever more."""
    if len(text) > LARGEST_FILE:
        raise UserError(f"{source}: more than {LARGEST_FILE >> 20} MB, which no config has")
    depth = aliases = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            aliases += isinstance(event, yaml.AliasEvent)
            if depth > DEEPEST or aliases > MOST_ALIASES:
                what = f"blocks in blocks, more than {DEEPEST} deep" if depth > DEEPEST else "too many aliases"
                raise UserError(f"{source}: {what}, which no config has")
    except yaml.YAMLError as error:
        raise UserError(f"{source}: not YAML: {' '.join(str(error).split()):.300}") from None


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
