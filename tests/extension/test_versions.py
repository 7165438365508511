"""Upstream's documented environment is the oldest; what is older is refused in one line, whatever would fail there."""

import ast
import sys
from importlib import metadata
from pathlib import Path

import pytest
from cascade_zero123 import versions

EXTENSION = Path(versions.__file__).parent


def test_what_is_installed_here_is_new_enough():
    versions.check()


def test_what_is_too_old_or_missing_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 8, 18, "final", 0))
    old = {"torch": "1.12.1+cu113", "diffusers": "0.19.3", "transformers": "4.28.1"}

    def version(library):
        if library not in old:
            raise metadata.PackageNotFoundError(library)
        return old[library]

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(ImportError) as error:
        versions.check()
    assert str(error.value) == (
        "threestudio-cascade-zero123 needs Python 3.10 or newer, found 3.8; torch 2.0 or newer, found 1.12; "
        "pytorch-lightning 2.0 or newer, found none"
    )


@pytest.mark.parametrize(("text", "numbers"), [("2.0.1+cu118", (2, 0)), ("2.1.0a0+git1", (2, 1)), ("4.28.1", (4, 28))])
def test_a_version_is_read_by_its_first_two_numbers(text, numbers, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda library: text)
    assert versions.installed("any") == numbers


def test_pythons_that_are_refused_can_read_the_refusal():
    for name in ("__init__.py", "versions.py"):
        tree = ast.parse((EXTENSION / name).read_text(encoding="utf-8"), feature_version=(3, 8))
        if name == "__init__.py":
            first, second = tree.body[1:3]
            assert (ast.unparse(first), ast.unparse(second)) == ("from . import versions", "versions.check()")


def test_the_whole_extension_is_written_in_the_oldest_python_that_it_takes():
    for file in EXTENSION.rglob("*.py"):
        ast.parse(file.read_text(encoding="utf-8"), feature_version=versions.PYTHON)


def names_of(tree):
    """Of attributes that are read and of keywords that are passed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword):
            yield node.arg


def test_nothing_that_torch_2_0_does_not_have_is_used():
    """Of dtypes, of tensors, and when loading: what this extension once used, and broke upstream's torch with."""
    for file in EXTENSION.rglob("*.py"):
        used = {"itemsize", "nbytes", "assign"}.intersection(names_of(ast.parse(file.read_text(encoding="utf-8"))))
        assert not used, file
