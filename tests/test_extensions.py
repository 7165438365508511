import subprocess
import sys

import pytest
from batch_stand_ins import REPOSITORY, save_pictures
from tiny_zero123 import save_tiny_cascade

import threestudio
from threestudio.errors import UserError
from threestudio.extensions import load_extensions, package_name

EXTENSION = REPOSITORY / "custom/threestudio-cascade-zero123"


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


def test_an_extension_that_fails_to_import_is_named_and_the_others_are_loaded(tmp_path, caplog):
    extension(tmp_path, "toy_broken", "from . import part\nimport no_such_library")
    (tmp_path / "toy_broken" / "part.py").touch()
    (tmp_path / "toy_whole.py").touch()
    assert load_extensions(tmp_path) == ["toy_whole"]
    reason = "ModuleNotFoundError: No module named 'no_such_library'"
    said = f"{tmp_path / 'toy_broken'}: this extension does not import: {reason}; passed over"
    assert [record.message for record in caplog.records] == [said]
    assert not any(name.startswith("toy_broken") for name in sys.modules)


def test_a_component_of_an_extension_that_failed_is_refused_with_the_reason(tmp_path):
    parts = "import threestudio\n@threestudio.register('toy-early')\nclass Early:\n    pass\n"
    later = '@threestudio.register(\n    "toy-late"\n)\nclass Late:\n    pass\n'
    extension(tmp_path, "toy_half", f"{parts}import no_such_library\n{later}")
    load_extensions(tmp_path)
    for name in ("toy-early", "toy-late"):
        with pytest.raises(UserError) as error:
            threestudio.find(name)
        reason = "this extension does not import: ModuleNotFoundError: No module named 'no_such_library'"
        assert str(error.value) == f'no component "{name}"; {tmp_path / "toy_half"}: {reason}'


def test_an_extension_that_ends_its_process_ends_no_launch(tmp_path, caplog):
    (tmp_path / "toy_exit.py").write_text("raise SystemExit('pip install it')")
    assert load_extensions(tmp_path) == []
    assert "this extension does not import: SystemExit: pip install it; passed over" in caplog.text


LAUNCHES = """
import sys
from pathlib import Path
import launch
launch.CUSTOM = Path(sys.argv[1])
command = ["--config", sys.argv[2], "--test", "--gpu", "-1", *sys.argv[3:]]
print("ended with", launch.main(command), launch.main([*command, "data_type=broken-data"]))
"""


def test_a_launch_passes_over_a_broken_extension_beside_ours_unless_its_component_is_asked_for(tmp_path):
    custom = tmp_path / "custom"
    custom.mkdir()
    (custom / EXTENSION.name).symlink_to(EXTENSION)
    broken = "import threestudio\nimport no_such_library\n@threestudio.register('broken-data')\nclass Data:\n    pass\n"
    extension(custom, "threestudio-broken", broken)
    save_tiny_cascade(tmp_path)
    picture = save_pictures(tmp_path, cat=(0.9, 0.5, 0.1)) / "cat.png"
    settings = [f"system.{part}.weights={tmp_path / part}" for part in ("base", "refiner")]
    settings += ["system.steps=1", "system.prompt_steps=1", "system.poses=[[0,10]]", "system.azimuths=[]"]
    settings += [f"data.image_path={picture}", f"exp_root_dir={tmp_path / 'out'}"]
    line = [sys.executable, "-c", LAUNCHES, str(custom), str(REPOSITORY / "configs/novel-view.yaml"), *settings]
    ended = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    reason = "this extension does not import: ModuleNotFoundError: No module named 'no_such_library'"
    assert "ended with 0 2" in ended.stdout, ended.stdout + ended.stderr
    assert ended.stderr.count(f"{custom / 'threestudio-broken'}: {reason}; passed over") >= 1
    assert ended.stderr.strip().endswith(f'no component "broken-data"; {custom / "threestudio-broken"}: {reason}')
    assert list((tmp_path / "out").rglob("*.png"))


def test_extensions_find_the_version_that_they_ask_for(tmp_path):
    asks = "import threestudio\nfrom packaging.version import Version\n"
    (tmp_path / "toy_asks.py").write_text(f"{asks}assert Version(threestudio.__version__) >= Version('0.2.3')")
    assert load_extensions(tmp_path) == ["toy_asks"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("toy_empty", "not an extension, it has no __init__.py"), ("json", 'package name "json" is already taken by')],
)
def test_what_cannot_be_an_extension_is_named(tmp_path, name, reason, caplog):
    (tmp_path / name).mkdir()
    if name == "json":
        (tmp_path / name / "__init__.py").touch()
    assert load_extensions(tmp_path) == []
    assert f"{tmp_path / name}: " in caplog.text and reason in caplog.text
