"""What this extension needs of Python and its libraries, checked before anything else of it is imported.

Older Pythons read this file and `__init__.py` too, so both are written in what Python 3.8 knows.
"""

import re
import sys
from importlib import metadata

PYTHON = (3, 10)
# The oldest that the tests have run with: those that upstream threestudio 0.2.3 pins.
LIBRARIES = {"torch": (2, 0), "diffusers": (0, 19), "transformers": (4, 28), "pytorch-lightning": (2, 0)}


def check() -> None:
    """Raises ImportError, one line on all that is too old or missing."""
    needed = {"Python": PYTHON, **LIBRARIES}
    found = {"Python": tuple(sys.version_info[:2]), **{name: installed(name) for name in LIBRARIES}}
    lacking = [
        f"{name} {_text(version)} or newer, found {_text(found[name]) or 'none'}"
        for name, version in needed.items()
        if found[name] < version
    ]
    if lacking:
        raise ImportError(f"threestudio-cascade-zero123 needs {'; '.join(lacking)}")


def installed(library: str) -> tuple:
    """The first two numbers of its version, as (2, 0) of 2.0.1+cu118; () where it is missing."""
    try:
        return tuple(int(number) for number in re.findall(r"\d+", metadata.version(library))[:2])
    except metadata.PackageNotFoundError:
        return ()


def _text(version: tuple) -> str:
    return ".".join(map(str, version))
