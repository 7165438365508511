"""The runtime: threestudio's plugin API, on current libraries, for CPU and CUDA.

`register` and `find` tie class names in YAML files to classes; `info`, `warn` and `debug` are the console.
"""

import logging

from threestudio.registry import find, modules, register
from threestudio.utils.rank import get_rank

__version__ = "0.2.3"  # the upstream whose API this speaks; extensions ask for it. See docs/hosts.md
__modules__ = modules

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


# Last, because importing the components registers them by what stands above.
from threestudio import data, models, systems  # noqa: E402

__all__ = ["data", "debug", "find", "info", "models", "register", "systems", "warn"]
