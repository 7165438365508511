"""Whatever lies in the place of packed views, their cameras, shards and lists ends in one line."""

import io
import json
import os
import pickle
import tarfile

import numpy as np
import pytest
from cascade_zero123.common.errors import UserError
from cascade_zero123.training import shard_index
from cascade_zero123.training.fitting_views import refuse_other_camera
from cascade_zero123.training.packed_files import are_cameras, read_meta
from cascade_zero123.training.rendered_views import PackedViews, open_views
from cascade_zero123.zero123.model import Settings

OBJECTS, VIEWS = 3, 4


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((OBJECTS, VIEWS, 8, 8, 4), np.uint8))
    np.save(tmp_path / "cameras.npy", cameras())
    return tmp_path


def cameras():
    stored = np.zeros((OBJECTS, VIEWS, 3, 4), np.float32)
    stored[..., :3] = np.eye(3)
    stored[..., 2, 3] = 2.0
    return stored


def line(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


IMAGES = {
    "truncated": saved(np.zeros((OBJECTS, VIEWS, 8, 8, 4), np.uint8))[:200],
    "empty": b"",
    "pickled": pickle.dumps([1, 2]),
    "objects": saved(np.array([{}, {}], dtype=object)),
    "floats": saved(np.zeros((OBJECTS, VIEWS, 8, 8, 4), np.float32)),
    "flat": saved(np.zeros((OBJECTS, 8, 8, 4), np.uint8)),
    "no alpha": saved(np.zeros((OBJECTS, VIEWS, 8, 8, 3), np.uint8)),
    "oblong": saved(np.zeros((OBJECTS, VIEWS, 8, 9, 4), np.uint8)),
    "nothing": saved(np.zeros((0, VIEWS, 8, 8, 4), np.uint8)),
    "text": b"<html>" * 100,
}


@pytest.mark.parametrize("content", IMAGES.values(), ids=IMAGES)
def test_images_that_are_none_are_named(folder, content):
    (folder / "images.npy").write_bytes(content)
    assert line(PackedViews, str(folder)).startswith(f"{folder}/images.npy: ")


def test_what_is_wrong_with_an_array_is_said(folder):
    (folder / "images.npy").write_bytes(IMAGES["pickled"])
    assert "images.npy: damaged, or no array of numbers (" in line(PackedViews, str(folder))
    (folder / "images.npy").write_bytes(saved(np.zeros((OBJECTS, VIEWS, 8, 8, 4), np.uint8)))
    np.save(folder / "cameras.npy", cameras().astype(np.int64))
    assert f"expected floats [{OBJECTS}, {VIEWS}, 3, 4], as the images" in line(PackedViews, str(folder))


WRONG_CAMERAS = {
    "nan": lambda stored: stored * np.float32("nan"),
    "zero": lambda stored: stored * 0,
    "far away": lambda stored: np.where(np.arange(4) == 3, np.float32(1e30), stored),
    "whole numbers": lambda stored: stored.astype(np.int64),
    "another number": lambda stored: stored[:, :-1],
    "one of them": lambda stored: np.concatenate([stored[:-1], stored[-1:] * np.float32("inf")]),
}


@pytest.mark.parametrize("change", WRONG_CAMERAS.values(), ids=WRONG_CAMERAS)
def test_cameras_that_are_none_are_named(folder, change):
    np.save(folder / "cameras.npy", change(cameras()))
    assert line(PackedViews, str(folder)).startswith(f"{folder}/cameras.npy: ")


def test_the_views_as_they_should_be_are_taken(folder):
    assert len(PackedViews(str(folder))) == OBJECTS
    assert are_cameras(cameras().reshape(-1, 3, 4)).all()


@pytest.mark.parametrize("name", ["images.npy", "cameras.npy", "meta.json"])
def test_a_pipe_is_not_opened(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert "a pipe or a device; expected a regular file" in line(PackedViews, str(folder))


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "5", "[" * 5000, '{"distance": "far"}', '{"distance": [1, 2, 3]}', "\xff"]
)
def test_damaged_metadata_is_named(folder, text):
    (folder / "meta.json").write_text(text, encoding="latin-1")
    assert line(read_meta, folder).startswith(f"{folder}/meta.json: ")
    assert line(refuse_other_camera, folder, Settings()).startswith(f"{folder}/meta.json: ")


@pytest.mark.parametrize("pattern", ["x/{0..99}{0..99}{0..99}{0..99}.tar", "x/{0..999999999999999999}.tar"])
def test_braces_that_stand_for_more_shards_than_there_can_be_end_in_one_line(pattern):
    assert line(open_views, pattern) == (
        f"{pattern}: stands for more than 100000 shards; give fewer numbers in its braces"
    )


def shard(path, size):
    """One member; its header says `size` bytes."""
    info = tarfile.TarInfo("mug/000.png")
    info.size = size
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 512)
    return path


@pytest.mark.parametrize("size", [10**15, 2**60])
def test_a_member_larger_than_its_shard_is_lost_and_said(tmp_path, caplog, size):
    index, whole = shard_index.scan(shard(tmp_path / "a.tar", size))
    assert not whole and len(index.names) == 0
    assert f"mug/000.png is said to have {size} bytes" in caplog.text


HOSTILE = {
    "places": np.array([[0, 10**15, 0, 4]]),
    "first": np.array([0, 10**9]),
    "views": np.array([["x"]]),
    "names": np.array([1.5]),
}


@pytest.mark.parametrize("part, value", HOSTILE.items(), ids=HOSTILE)
def test_a_hostile_index_is_made_anew(tmp_path, part, value):
    path = shard(tmp_path / "a.tar", 4)
    status = path.stat()
    index = {"names": np.array([b"mug"]), "first": np.array([0, 1]), "views": np.array([0], np.int16)}
    index |= {"places": np.array([[512, 4, -1, -1]]), part: value}
    stamp = np.array([shard_index.FORMAT, status.st_size, status.st_mtime_ns])
    np.savez(tmp_path / "a.tar.index.npz", stamp=stamp, **index)
    assert shard_index.shard_index(path).places.tolist() == [[512, 4, -1, -1]]


def test_a_pipe_for_a_shard_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.tar")
    assert "a pipe or a device" in line(open_views, str(tmp_path))


def test_a_list_of_objects_that_is_no_list_is_named(tmp_path):
    (tmp_path / "valid_paths.json").write_text(json.dumps({"a": 1}))
    assert "expected a list of folder names" in line(open_views, str(tmp_path))
