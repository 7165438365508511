"""Rendered views in folders and in shards: the same objects, read the same way, without the broken ones."""

import io
import os
import shutil
import tarfile

import numpy as np
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training import broken_objects, random_views, shard_index
from cascade_zero123.training.rendered_views import PackedViews, draw_views, open_views
from cascade_zero123.zero123.white import on_white
from PIL import Image

from threestudio.cameras import orbit

OBJECTS, VIEWS, SIZE = 6, 4, 8


def elevation_deg(index):
    return torch.tensor([5.0, 20.0, -30.0, 60.0]) + index


def azimuth_deg(index):
    return torch.tensor([0.0, 90.0, -120.0, 175.0]) - index


def write_object(folder, index, size=SIZE):
    """Grey levels tell object and view."""
    folder.mkdir(parents=True)
    cameras = torch.linalg.inv(orbit(elevation_deg(index), azimuth_deg(index), torch.full((VIEWS,), 1.9)))[:, :3]
    for view in range(VIEWS):
        pixels = np.full((size, size, 4), 255, np.uint8)
        pixels[..., :3] = grey(index, view)
        Image.fromarray(pixels).save(folder / f"{view:03d}.png")
        np.save(folder / f"{view:03d}.npy", cameras[view].double().numpy())


def grey(index, view):
    return 40 * index + 3 * view


@pytest.fixture
def folder(tmp_path):
    for index in range(OBJECTS):
        write_object(tmp_path / "views" / f"object{index}", index)
    return tmp_path / "views"


def pack(folder, shards, flat, per_shard=4):
    """As another program would: two shards, members in any order."""
    shards.mkdir()
    ids = sorted(path.name for path in folder.iterdir())
    for number in range(0, len(ids), per_shard):
        with tarfile.open(shards / f"{number // per_shard:06d}.tar", "w") as tar:
            for name in ids[number : number + per_shard]:
                for file in sorted(os.listdir(folder / name), reverse=True):
                    tar.add(folder / name / file, f"{name}.{file}" if flat else f"./{name}/{file}")
    return shards


def all_of(views):
    objects = torch.arange(len(views))
    columns = torch.arange(views.view_count).expand(len(views), -1)
    return views.rgba(objects, columns), views.cameras_of(objects, columns)


def greys(views, objects, columns):
    return (255 * views.rgba(torch.tensor(objects), torch.tensor(columns))[:, :, 0, 0, 0]).round().int().tolist()


def test_a_folder_of_objects_is_read_with_its_poses(folder):
    views = open_views(str(folder))
    rgba, pose = all_of(views)
    assert (len(views), views.view_count, views.has_nearby_views) == (OBJECTS, VIEWS, False)
    assert rgba.shape == (OBJECTS, VIEWS, 4, SIZE, SIZE)
    expected = torch.tensor([[grey(index, view) / 255 for view in range(VIEWS)] for index in range(OBJECTS)])
    assert torch.allclose(rgba[:, :, 0, 3, 3], expected)
    assert torch.allclose(pose.elevation_deg, torch.stack([elevation_deg(i) for i in range(OBJECTS)]), atol=1e-3)
    assert torch.allclose(pose.azimuth_deg, torch.stack([azimuth_deg(i) for i in range(OBJECTS)]), atol=1e-3)
    assert torch.allclose(pose.distance, torch.full((OBJECTS, VIEWS), 1.9))


@pytest.mark.parametrize("flat", [True, False])
def test_shards_hold_the_same_as_the_folder(folder, tmp_path, flat):
    shards = pack(folder, tmp_path / "shards", flat)
    rgba, pose = all_of(open_views(str(folder)))
    for place in (shards, f"{shards}/{{000000..000001}}.tar", f"{shards}/00000{{0,1}}.tar"):
        from_shards, poses = all_of(open_views(str(place)))
        assert torch.equal(from_shards, rgba)
        assert torch.equal(poses.as_tensor(), pose.as_tensor())
    assert len(open_views(f"{shards}/000001.tar")) == OBJECTS - 4


def test_any_order_of_objects_and_views_can_be_asked_for(folder, tmp_path):
    for place in (folder, pack(folder, tmp_path / "shards", flat=True)):
        asked = open_views(str(place))
        assert greys(asked, [5, 0, 5], [[3, 1], [0, 2], [1, 3]]) == [
            [grey(5, 3), grey(5, 1)],
            [grey(0, 0), grey(0, 2)],
            [grey(5, 1), grey(5, 3)],
        ]


def test_ids_may_have_several_parts_and_hidden_folders_are_unfinished(folder):
    write_object(folder / "sub" / "deep" / "object", 0)
    write_object(folder / ".object9.part", 0)
    views = open_views(str(folder))
    assert len(views) == OBJECTS + 1 and views.files.name(OBJECTS) == "sub/deep/object"


def test_zero_1_to_3_s_list_of_valid_objects_is_followed(folder):
    (folder / "valid_paths.json").write_text('["object4", "object1"]')
    assert greys(open_views(str(folder)), [0, 1], [[0], [0]]) == [[grey(4, 0)], [grey(1, 0)]]


def test_what_render_views_says_of_the_layout_is_believed(folder, tmp_path):
    shards = pack(folder, tmp_path / "shards", flat=True)
    for place in (folder, shards):
        (place / "meta.json").write_text('{"layout": "cascade"}')
        assert open_views(str(place)).has_nearby_views
        (place / "meta.json").write_text('{"layout": "random"}')
        assert not open_views(str(place)).has_nearby_views


def test_pictures_are_resized_and_transparent_colours_do_not_bleed(tmp_path):
    for index in range(2):
        write_object(tmp_path / f"object{index}", index)
        pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
        pixels[..., 1] = 255  # green where transparent
        pixels[:, :3] = (200, 0, 0, 255)
        Image.fromarray(pixels).save(tmp_path / f"object{index}" / "000.png")
    rgba = open_views(str(tmp_path), image_size=SIZE // 2).rgba(torch.tensor([0]), torch.tensor([[0]]))
    assert rgba.shape == (1, 1, 4, SIZE // 2, SIZE // 2)
    shown = rgba[0, 0, :, 1, 1]
    assert 0.3 < shown[3] < 0.7 and shown[1] == 0.0
    assert on_white(rgba)[0, 0, 0].mean() == pytest.approx((3 * 200 / 255 + 5) / 8, abs=0.01)


def test_packed_views_are_resized_too(tmp_path):
    np.save(tmp_path / "images.npy", np.full((2, 4, 8, 8, 4), 255, np.uint8))
    np.save(tmp_path / "cameras.npy", np.broadcast_to(np.eye(3, 4, dtype=np.float32), (2, 4, 3, 4)))
    views = open_views(str(tmp_path), image_size=4)
    assert isinstance(views, PackedViews) and views.has_nearby_views
    assert views.rgba(torch.tensor([1]), torch.tensor([[0, 3]])).shape == (1, 2, 4, 4, 4)
    assert open_views(str(tmp_path)).rgba(torch.tensor([1]), torch.tensor([[0]])).shape[-1] == 8


def test_pairs_are_any_two_different_views_equally_often():
    columns = draw_views(6000, 4, 0, 0.0, draw_generator(0, "test", 0))
    pairs = torch.bincount(4 * columns[:, 0] + columns[:, 1], minlength=16).view(4, 4)
    assert pairs.diagonal().sum() == 0
    assert all(380 < pairs[i, j] < 620 for i in range(4) for j in range(4) if i != j)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-20])


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def not_finite(file):
    camera = np.load(file)
    camera[1, 3] = np.nan
    np.save(file, camera)


BREAKING = {
    "no 002.png": lambda folder: (folder / "002.png").unlink(),
    "no 002.npy": lambda folder: (folder / "002.npy").unlink(),
    "3 views; the others have 4": lambda folder: [(folder / f"003.{suffix}").unlink() for suffix in ("png", "npy")],
    "5 views; the others have 4": lambda folder: [
        shutil.copy(folder / f"003.{suffix}", folder / f"004.{suffix}") for suffix in ("png", "npy")
    ],
    "001.png: Truncated File Read": lambda folder: truncate(folder / "001.png"),
    "001.png: ": lambda folder: flip_a_bit(folder / "001.png"),
    "001.png: cannot identify": lambda folder: (folder / "001.png").write_text("<html>"),
    "001.png: no alpha": lambda folder: Image.new("RGB", (SIZE, SIZE)).save(folder / "001.png"),
    "001.png: 8 x 4 pixels": lambda folder: Image.new("RGBA", (SIZE, 4), (9, 9, 9, 255)).save(folder / "001.png"),
    "000.npy: ": lambda folder: truncate(folder / "000.npy"),
    "000.npy: not a 3 x 4": lambda folder: np.save(folder / "000.npy", np.eye(3)),
    "000.npy: not a rotation": lambda folder: np.save(folder / "000.npy", np.zeros((3, 4))),
    "000.npy: not a rotation and a finite": lambda folder: not_finite(folder / "000.npy"),
    "fully transparent in all views": lambda folder: [
        Image.new("RGBA", (SIZE, SIZE)).save(folder / f"{view:03d}.png") for view in range(VIEWS)
    ],
}


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(broken_objects.threestudio, "warn", said.append)
    return said


@pytest.mark.parametrize("reason", BREAKING)
@pytest.mark.parametrize("packed", [False, True])
def test_another_object_takes_the_place_of_a_broken_one(folder, tmp_path, warnings, reason, packed):
    BREAKING[reason](folder / "object2")
    views = open_views(str(pack(folder, tmp_path / "shards", flat=True) if packed else folder))
    instead = random_views.places_of(2, OBJECTS)[1]
    columns = [[0, 1], [1, 0], [3, 1]]
    for _ in range(2):
        assert greys(views, [1, 2, 4], columns) == [
            [grey(index, view) for view in row] for index, row in zip([1, instead, 4], columns, strict=True)
        ]
        elevation = views.cameras_of(torch.tensor([1, 2, 4]), torch.tensor(columns)).elevation_deg
        assert torch.allclose(elevation[1], elevation_deg(instead)[[1, 0]], atol=1e-3)
    assert len(views.broken) == 1 and len(warnings) == 1
    assert "object2" in warnings[0] and reason in warnings[0]


def test_what_takes_a_place_does_not_depend_on_what_was_read_before(folder):
    (folder / "object3" / "000.png").write_bytes(b"")
    columns = torch.tensor([[1, 2]])
    fresh, used = open_views(str(folder)), open_views(str(folder))
    used.rgba(torch.tensor([3]), torch.tensor([[0, 1]]))
    first, second = (views.rgba(torch.tensor([3]), columns) for views in (fresh, used))
    assert torch.equal(first, second)
    first, second = (views.cameras_of(torch.tensor([3]), columns).azimuth_deg for views in (fresh, used))
    assert torch.equal(first, azimuth_deg(3)[None, 1:3].round()) and torch.equal(first, second)


def test_poses_alone_are_of_the_object_that_would_be_shown(folder):
    (folder / "object0" / "001.png").write_bytes(b"")
    instead = random_views.places_of(0, OBJECTS)[1]
    azimuth = open_views(str(folder)).cameras_of(torch.tensor([0]), torch.tensor([[1, 2]])).azimuth_deg
    assert torch.allclose(azimuth[0], azimuth_deg(instead)[1:3], atol=1e-3)


def test_a_view_that_shows_nothing_is_kept_where_others_show_something(folder, warnings):
    for view in (0, 1):
        Image.new("RGBA", (SIZE, SIZE)).save(folder / "object0" / f"{view:03d}.png")
    rgba = open_views(str(folder)).rgba(torch.tensor([0]), torch.tensor([[0, 1]]))
    assert rgba.abs().sum() == 0 and not warnings


def test_more_than_half_broken_ends_in_one_line(folder):
    for index in (0, 1, 2, 3):
        (folder / f"object{index}" / "001.npy").unlink()
    views = open_views(str(folder))
    with pytest.raises(UserError, match=r"views: 4 of the 6 objects tried are broken, the last .*no 001.npy; render"):
        views.rgba(torch.arange(OBJECTS), torch.zeros(OBJECTS, 1, dtype=torch.long))


def test_half_of_them_broken_is_borne(folder, warnings):
    for index in (0, 2, 4):
        (folder / f"object{index}" / "001.npy").unlink()
    views = open_views(str(folder))
    views.rgba(torch.arange(OBJECTS), torch.zeros(OBJECTS, 1, dtype=torch.long))
    assert len(views.broken) == 3


def test_nothing_but_broken_objects_ends_at_once(folder):
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(UserError, match="6 of the 6 objects tried are broken"):
        open_views(str(folder))


def test_after_twenty_broken_objects_only_their_number_is_said(warnings):
    broken = broken_objects.BrokenObjects("place")
    broken.record(range(1000, 2000), [(i, f"object{i}", "no 000.png") for i in range(70)], 10_000)
    broken.record([], [(i, f"object{i}", "no 000.png") for i in range(70)], 10_000)
    assert len(warnings) == 22 and warnings[19].startswith("object19: no 000.png")
    assert [line.split(":")[1].split()[0] for line in warnings[20:]] == ["32", "64"]


@pytest.mark.parametrize("total", [1, 2, 3, 6, 10, 97])
def test_every_object_can_take_a_place_once(total):
    assert all(sorted(random_views.places_of(first, total)) == list(range(total)) for first in range(total))


def test_shards_are_scanned_once_and_again_when_they_change(folder, tmp_path, monkeypatch):
    shards = pack(folder, tmp_path / "shards", flat=True)
    open_views(str(shards))
    scanned = []
    real = shard_index.scan
    monkeypatch.setattr(shard_index, "scan", lambda shard: scanned.append(shard.name) or real(shard))
    assert len(open_views(str(shards))) == OBJECTS and not scanned
    os.utime(shards / "000001.tar", ns=(1, 1))
    (shards / "000000.tar.index.npz").write_bytes(b"PK")
    assert len(open_views(str(shards))) == OBJECTS and sorted(scanned) == ["000000.tar", "000001.tar"]
    assert not list(shards.glob(".*"))


def test_the_index_of_a_read_only_folder_lies_in_the_user_s_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shards = pack(folder, tmp_path / "shards", flat=True)
    for number in (0, 1):  # a folder in its way, since root writes anywhere
        (shards / f"00000{number}.tar.index.npz").mkdir()
    assert len(open_views(str(shards))) == OBJECTS
    assert len(list((tmp_path / "cache" / "cascade-zero123" / "shards").glob("*.npz"))) == 2
    monkeypatch.setattr(shard_index, "scan", lambda shard: pytest.fail("scanned again"))
    assert len(open_views(str(shards))) == OBJECTS


def test_of_a_truncated_shard_what_is_left_is_read_and_said(folder, tmp_path, monkeypatch, warnings):
    shards = pack(folder, tmp_path / "shards", flat=False, per_shard=6)
    shard = shards / "000000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[: content.index(b"./object4/000.png") + 600])
    for _ in range(2):
        views = open_views(str(shards))
        assert len(views) == 5 and greys(views, [3], [[2]]) == [[grey(3, 2)]]
        assert greys(views, [4], [[0]])[0][0] != grey(4, 0)
    assert sum("restore it to have the others" in line for line in warnings) == 2


@pytest.mark.parametrize("compressed", [True, False])
def test_a_shard_that_is_no_plain_tar_is_refused_by_name(tmp_path, compressed):
    if compressed:
        with tarfile.open(tmp_path / "0.tar", "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("a.000.png"), io.BytesIO())
    else:
        (tmp_path / "0.tar").write_text("not a tar")
    with pytest.raises(UserError, match=r"0.tar: not an uncompressed tar; unpack it or leave it out"):
        open_views(str(tmp_path))


@pytest.mark.parametrize(
    "place, message",
    [
        ("", "set data.train_folder"),
        ("missing", "missing: no such folder"),
        ("{0..3}.tar", r"4 of 4 shards missing, first 0.tar"),
        ("empty", "no rendered views in it; expected <id>/000.png"),
    ],
)
def test_a_place_without_views_is_refused_by_name(tmp_path, monkeypatch, place, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        open_views(place)


def test_one_view_makes_no_pair(tmp_path):
    write_object(tmp_path / "object", 0)
    for file in tmp_path.rglob("00[1-3].*"):
        file.unlink()
    with pytest.raises(UserError, match="1 view.s. an object; at least 2"):
        open_views(str(tmp_path))
