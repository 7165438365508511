"""The runtime: threestudio's plugin API, on current libraries, for CPU and CUDA.

`register` and `find` tie class names in YAML files to classes; `info`, `warn` and `debug` are the console.

Its own components are imported when the first one is asked for: that takes seconds, and a look at a picture needs none.
"""

import importlib
import logging
from typing import Any

from threestudio.registry import find, load_components, modules, register
from threestudio.utils.rank import get_rank

__version__ = "0.2.3"  # the upstream whose API this speaks; extensions ask for it. See docs/hosts.md
COMPONENTS = ("data", "models", "systems")

logger = logging.getLogger("threestudio")


def info(message: str, *args: object) -> None:
    """Said once a run: by the first process only."""
    if get_rank() == 0:
        logger.info(message, *args)


def warn(message: str, *args: object) -> None:
    if get_rank() == 0:
        logger.warning(message, *args)


def debug(message: str, *args: object) -> None:
    if get_rank() == 0:
        logger.debug(message, *args)


def __getattr__(name: str) -> Any:
    if name == "__modules__":  # upstream's name
        load_components()
        return modules
    if name in COMPONENTS:
        return importlib.import_module(f"threestudio.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["debug", "find", "info", "load_components", "register", "warn"]
