"""Loads the extensions in `custom/`: each folder with an `__init__.py`, and each `.py` file, registers its components.

The folder `threestudio-cascade-zero123` becomes the package `cascade_zero123`, under which it can be imported anywhere.
"""

import importlib.util
import sys
from pathlib import Path

from threestudio.errors import UserError


def load_extensions(folder: Path) -> list[str]:
    """The names of the packages; an extension that fails to import stops the run."""
    if not folder.is_dir():
        return []
    return [_load(entry) for entry in sorted(folder.iterdir()) if _is_extension(entry)]


def package_name(entry: Path) -> str:
    return entry.stem.removeprefix("threestudio-").replace("-", "_")


def _is_extension(entry: Path) -> bool:
    if entry.name.startswith(("_", ".")) or entry.stem.endswith("_disabled"):
        return False
    return entry.is_dir() or entry.suffix == ".py"


def _load(entry: Path) -> str:
    name = package_name(entry)
    source = entry / "__init__.py" if entry.is_dir() else entry
    if not source.is_file():
        raise UserError(f"{entry}: not an extension, it has no __init__.py; complete it or rename it to *_disabled")
    loaded = sys.modules.get(name)
    if loaded is not None:
        if Path(loaded.__file__ or "").resolve() != source.resolve():
            raise UserError(f'{entry}: its package name "{name}" is already taken by {loaded.__file__}; rename it')
        return name
    search = [str(entry)] if entry.is_dir() else None
    spec = importlib.util.spec_from_file_location(name, source, submodule_search_locations=search)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        message = (str(error).splitlines() or [""])[0]
        raise UserError(f"{entry}: this extension does not import: {type(error).__name__}: {message}") from error
    return name
