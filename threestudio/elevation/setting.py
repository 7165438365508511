"""`data.default_elevation_deg: auto`: found from the picture before anything else is built.

The number takes the word's place in the config, so that whatever refers to it, checkpoints and saved configs have it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import threestudio

AUTO, KEY = "auto", "default_elevation_deg"


def with_elevation(cfg: Any, reload: Callable[[Sequence[str]], Any]) -> Any:
    """`reload` makes the config again with further key=value arguments."""
    found = found_elevation(cfg)
    return reload(found) if found else cfg


def found_elevation(cfg: Any) -> list[str]:
    """The key=value that takes the word's place; none where the config has a number."""
    if cfg.data.get(KEY) != AUTO:
        return []
    from threestudio.look import look_at

    found = look_at(cfg.data.get("image_path", ""), cfg.data).elevation
    threestudio.info(f"Elevation: {found}. If you know it better, say data.{KEY}=<degrees>")
    return [f"data.{KEY}={found.deg:.1f}"]
