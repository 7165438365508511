import sys

import pytest

from threestudio.errors import UserError
from threestudio.extensions import load_extensions, package_name


@pytest.fixture(autouse=True)
def forget_modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("toy_"):
            del sys.modules[name]


def extension(folder, name, text, file="__init__.py"):
    (folder / name).mkdir()
    (folder / name / file).write_text(text)


def test_a_folder_is_named_without_threestudio_and_with_underscores(tmp_path):
    assert package_name(tmp_path / "threestudio-cascade-zero123") == "cascade_zero123"


def test_folders_and_files_are_loaded_and_their_submodules_import_relatively(tmp_path):
    extension(tmp_path, "threestudio-toy-one", "from .part import x")
    (tmp_path / "threestudio-toy-one" / "part.py").write_text("x = 3")
    (tmp_path / "toy_two.py").write_text("y = 4")
    assert load_extensions(tmp_path) == ["toy_one", "toy_two"]
    assert (sys.modules["toy_one"].x, sys.modules["toy_two"].y) == (3, 4)


def test_an_extension_is_loaded_once(tmp_path):
    (tmp_path / "toy_once.py").write_text("loads = []")
    load_extensions(tmp_path)
    first = sys.modules["toy_once"]
    load_extensions(tmp_path)
    assert sys.modules["toy_once"] is first


def test_disabled_hidden_and_cache_folders_are_passed_over(tmp_path):
    for name in ("toy_x_disabled", ".toy_hidden", "__pycache__"):
        extension(tmp_path, name, "1 / 0")
    (tmp_path / "notes.txt").touch()
    assert load_extensions(tmp_path) == []


def test_a_missing_folder_means_no_extensions(tmp_path):
    assert load_extensions(tmp_path / "custom") == []


def test_an_extension_that_fails_to_import_stops_the_run_by_name(tmp_path):
    extension(tmp_path, "toy_broken", "import no_such_library")
    with pytest.raises(UserError) as error:
        load_extensions(tmp_path)
    reason = "ModuleNotFoundError: No module named 'no_such_library'"
    assert str(error.value) == f"{tmp_path / 'toy_broken'}: this extension does not import: {reason}"
    assert "toy_broken" not in sys.modules


def test_a_folder_that_is_no_package_is_refused(tmp_path):
    (tmp_path / "toy_empty").mkdir()
    with pytest.raises(UserError, match="toy_empty: not an extension, it has no __init__.py"):
        load_extensions(tmp_path)


def test_a_taken_package_name_is_refused(tmp_path):
    (tmp_path / "json.py").touch()
    with pytest.raises(UserError, match='package name "json" is already taken by'):
        load_extensions(tmp_path)
