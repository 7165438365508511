"""Cascade-Zero123 (Chen et al., ECCV 2024) as a threestudio extension: importing it registers its components."""

from . import versions

versions.check()  # before the rest, which older Pythons and libraries fail to import with errors of many kinds

from . import guidance  # noqa: E402
from .novel_view import picture_data  # noqa: E402
from .novel_view import system as novel_view_system  # noqa: E402
from .training import datamodule, system  # noqa: E402

__all__ = ["datamodule", "guidance", "novel_view_system", "picture_data", "system"]
