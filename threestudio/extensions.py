"""Loads the extensions in `custom/`: each folder with an `__init__.py`, and each `.py` file, registers its components.

The folder `threestudio-cascade-zero123` becomes the package `cascade_zero123`, under which it can be imported anywhere.
One that does not import is named and passed over; asking for a component of it then says why there is none.
"""

import importlib.util
import re
import sys
from pathlib import Path

import threestudio
from threestudio import registry
from threestudio.errors import UserError

REGISTERED = re.compile(r"""\bregister\(\s*["']([^"']+)["']""")


def load_extensions(folder: Path) -> list[str]:
    """The names of the packages that did import."""
    registry.load_components()  # whose names are taken
    if not folder.is_dir():
        return []
    packages = (_load_or_say_why(entry) for entry in sorted(folder.iterdir()) if _is_extension(entry))
    return [name for name in packages if name is not None]


def package_name(entry: Path) -> str:
    return entry.stem.removeprefix("threestudio-").replace("-", "_")


def _is_extension(entry: Path) -> bool:
    if entry.name.startswith(("_", ".")) or entry.stem.endswith("_disabled"):
        return False
    return entry.is_dir() or entry.suffix == ".py"


def _load_or_say_why(entry: Path) -> str | None:
    before = set(registry.modules)
    try:
        return _load(entry)
    except UserError as error:
        for name in set(registry.modules) - before:  # what a failing import has left behind
            del registry.modules[name]
        registry.withhold(_component_names(entry), str(error))
        threestudio.warn(f"{error}; passed over")
        return None


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
    except (Exception, SystemExit) as error:  # some end the process where a library is missing
        _forget(name)
        message = (str(error).splitlines() or [""])[0]
        raise UserError(f"{entry}: this extension does not import: {type(error).__name__}: {message}") from error
    return name


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def _component_names(entry: Path) -> list[str]:
    """What the extension would register, by its source."""
    files = entry.rglob("*.py") if entry.is_dir() else [entry]
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    return [name for text in texts for name in REGISTERED.findall(text)]
