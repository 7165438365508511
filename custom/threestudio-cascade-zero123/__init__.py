"""Cascade-Zero123 (Chen et al., ECCV 2024) as a threestudio extension: importing it registers its components."""

from . import guidance, novel_view_system
from .training import datamodule, system

__all__ = ["datamodule", "guidance", "novel_view_system", "system"]
