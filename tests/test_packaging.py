"""`pip install .` takes the packages that pyproject.toml lists; the editable install would not miss one."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_of_the_libraries_is_listed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = []
    for name, folder in setuptools["package-dir"].items():
        for file in (ROOT / folder).rglob("__init__.py"):
            found.append(".".join([name, *file.parent.relative_to(ROOT / folder).parts]))
    assert sorted(setuptools["packages"]) == sorted(found)


def test_every_folder_with_modules_is_a_package():
    for folder in ("threestudio", "custom/threestudio-cascade-zero123", "studies"):
        for file in (ROOT / folder).rglob("*.py"):
            assert (file.parent / "__init__.py").is_file(), file
