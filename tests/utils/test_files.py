"""Files and names that the user gives."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threestudio.errors import UserError
from threestudio.utils.config import config_to_primitive, dump_config, load_config
from threestudio.utils.console import one_line
from threestudio.utils.files import LONGEST_NAME, folder_name, on_disk, regular_file, storable
from threestudio.utils.resume import picture_of_run

TRIAL = "name: toy\nuse_timestamp: false\ntag: ${basename:${data.image_path}}\ndata: {image_path: cat.png}\n"


def refusal(call, *arguments, **keywords):
    with pytest.raises(UserError) as caught:
        call(*arguments, **keywords)
    return str(caught.value)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    unread = "from which nothing is read; name a regular file"
    assert refusal(regular_file, tmp_path / "pipe") == f"{tmp_path}/pipe: a pipe, {unread}"
    assert refusal(regular_file, "/dev/zero") == f"/dev/zero: a device, {unread}"
    assert refusal(regular_file, tmp_path) == f"{tmp_path}: a folder, not a file"
    assert refusal(regular_file, tmp_path / "none", "not there") == f"{tmp_path}/none: not there"
    assert refusal(regular_file, "a\0b") == "a\0b: no such file"
    (tmp_path / "a").write_text("a")
    os.symlink(tmp_path / "a", tmp_path / "link")
    assert regular_file(tmp_path / "link").read_text() == "a"


@given(st.text(min_size=1, max_size=400))
def test_a_folder_s_name_is_one_short_part_of_a_path_and_calls_nothing(text):
    name = folder_name(text)
    assert 0 < len(name.encode("utf-8", "surrogatepass")) <= LONGEST_NAME
    assert "/" not in name and "\0" not in name and "${" not in name and not name.startswith(".")


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_two_texts_are_kept_in_two_folders(one, other):
    assert (folder_name(one) == folder_name(other)) == (one == other)


def test_an_ordinary_name_stays():
    for name in ("cat.png", "cup🎉.png", "a b", "cat@2x.png", "été.jpg"):
        assert folder_name(name) == name


def test_a_name_of_any_bytes_is_kept_as_text_and_found_again(tmp_path):
    raw = os.fsdecode(os.fsencode(str(tmp_path)) + b"/caf\xe9.png")
    Path(raw).write_bytes(b"x")
    kept = storable(raw)
    assert kept.endswith("/caf\\xe9.png") and kept.encode()
    assert on_disk(kept).read_bytes() == b"x"


HOSTILE = ["cup🎉.png", "a: b # c.png", "${oc.env:HOME}.png", "x\\${seed}.png", "[1, 2].png", "'.png", "-.png"]


@pytest.mark.parametrize("name", [*HOSTILE, os.fsdecode(b"caf\xe9.png"), "n" * 240 + ".png"])
def test_a_picture_of_any_name_keeps_it_through_config_file_and_checkpoint(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"x")
    Path("x.yaml").write_text(TRIAL)
    cfg = load_config("x.yaml", cli_args=[f"data.image_path={name}"])
    assert on_disk(cfg.data.image_path).read_bytes() == b"x"
    assert os.path.basename(cfg.trial_dir) == cfg.tag == folder_name(storable(name))
    os.makedirs(cfg.trial_dir)
    dump_config("parsed.yaml", cfg)
    again = load_config("parsed.yaml")
    assert (again.data.image_path, again.trial_dir) == (cfg.data.image_path, cfg.trial_dir)
    resumed = load_config("x.yaml", cli_args=picture_of_run({"config": config_to_primitive(cfg)}, cfg))
    assert resumed.data.image_path == cfg.data.image_path


def test_what_a_checkpoint_s_config_says_calls_nothing(monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    saved = {"config": {"data_type": "", "data": {"image_path": "${oc.env:SECRET}", "object_ratio": [1]}}}
    kept = picture_of_run(saved, load_config(TRIAL, from_string=True))
    assert load_config(TRIAL, from_string=True, cli_args=kept).data.image_path == "${oc.env:SECRET}"


YAML = {
    "5": None,
    "5: 3": "expected `key: value` lines at its top level",
    "[" * 5000: "blocks in blocks, more than 32 deep",
    "[" * 100_000: "blocks in blocks, more than 32 deep",
    "a: " + "{a: " * 2000: "blocks in blocks, more than 32 deep",
    "- " * 50_000: "blocks in blocks, more than 32 deep",
    "a: &a [1]\nb: [" + "*a, " * 40 + "1]": "too many aliases",
    "a: " + "9" * 5000: "not YAML: ",
    "a: 0x" + "f" * 5000: "a number of 6021 digits is too large",
    "a: 1\n" * 300_000: "more than 1 MB, which no config has",
    "a: !!python/object:os.system x": "not YAML: ",
    "a: 2001-99-99": None,
    "a: [1": "not YAML: ",
    "a: 1\na: 2": "not YAML: ",
    "a: ${b}": "Interpolation key 'b' not found",
    "a: ${oc.env:NO_SUCH}": "Environment variable 'NO_SUCH' not found",
}


@pytest.mark.parametrize("text, message", YAML.items(), ids=[text[:20] for text in YAML])
def test_hostile_yaml_ends_in_one_line(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    line = refusal(load_config, str(path))
    assert line.startswith(f"{path}: ") and "\n" not in line and (message or "") in line


def test_a_pipe_or_a_device_is_no_config(tmp_path):
    os.mkfifo(tmp_path / "x.yaml")
    assert refusal(load_config, str(tmp_path / "x.yaml")).startswith(f"{tmp_path}/x.yaml: a pipe")
    assert refusal(load_config, "/dev/zero").startswith("/dev/zero: a device")


@pytest.mark.parametrize("argument", ["a.b=" + "[" * 3000, "x=${seed", "a=" + "9" * 5000, "a.b.c={", "a=${nothing}"])
def test_a_hostile_argument_is_quoted_in_one_line(argument):
    line = refusal(load_config, "tag: a\nuse_timestamp: false\n", from_string=True, cli_args=[argument])
    assert line.startswith("command line: ") and "\n" not in line and "object_type" not in line and len(line) < 500


@pytest.mark.parametrize(
    "number", [17, 36, 40, 28, 5, 110], ids=["EEXIST", "ENAMETOOLONG", "ELOOP", "ENOSPC", "EIO", "ETIMEDOUT"]
)
def test_every_error_of_the_system_is_one_line(number):
    line = one_line(OSError(number, os.strerror(number), "some/where"))
    assert line.startswith("some/where: ") and "\n" not in line


def test_our_own_mistakes_keep_their_traceback():
    assert one_line(OSError("no number")) is None
    assert one_line(KeyError("x")) is None
    assert sys.version_info >= (3, 10)
