import json
import os
import shutil
import signal
import sys
import tarfile
import time

import numpy as np
import pytest
import torch
import trimesh
from cascade_zero123.common.errors import UserError
from cascade_zero123.training.fitting_views import refuse_other_camera
from cascade_zero123.training.rendered_views import open_views
from cascade_zero123.zero123.model import Settings
from PIL import Image

from studies.reconstruction.engine import WorkerDied
from studies.rendering import command as render_views
from studies.rendering import engines, folder, packed, views
from studies.rendering.record import keep_settings


def options(*arguments):
    return render_views.parsed(list(arguments))


FACING = ("--fovy-deg", "20", "--distance", "3.8", "3.8", "--elevation-range", "-10", "60")


@pytest.fixture
def meshes(tmp_path):
    """A red cube with a flat top in glTF axes, the same one off centre and large, and a broken file."""
    folder = tmp_path / "meshes"
    (folder / "sub").mkdir(parents=True)
    cube = trimesh.creation.box((1.0, 0.5, 1.0))
    cube.visual.face_colors = (200, 30, 30, 255)
    cube.export(folder / "cube.glb")
    cube.apply_scale(7.0).apply_translation((3, 4, 5)).export(folder / "sub" / "moved.glb")
    (folder / "broken.glb").write_bytes(b"glTF, but not really")
    return folder


def run(meshes, out, *more):
    return render_views.main([str(meshes), str(out), "--views", "3", "--size", "24", "--workers", "1", *FACING, *more])


def test_each_mesh_gets_its_pictures_and_cameras_and_a_broken_one_is_listed(meshes, tmp_path):
    out = tmp_path / "views"
    assert run(meshes, out) == 0
    for name in ("cube", "sub/moved"):
        assert sorted(path.name for path in (out / name).iterdir()) == [
            f"{view:03d}.{suffix}" for view in range(3) for suffix in ("npy", "png")
        ]
        assert Image.open(out / name / "000.png").mode == "RGBA"
        assert np.load(out / name / "000.npy").shape == (3, 4)
    listing = (out / "unreadable.txt").read_text()
    assert "broken.glb" in listing and len(listing.splitlines()) == 1
    assert not list(out.rglob(".*"))


def test_the_camera_file_projects_the_object_onto_its_picture(meshes, tmp_path):
    run(meshes, tmp_path / "views")
    for view in range(3):
        world_to_camera = np.load(tmp_path / "views" / "cube" / f"{view:03d}.npy")
        corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.25, 0.25)])
        seen = corners @ world_to_camera[:, :3].T + world_to_camera[:, 3]
        assert (seen[:, 2] < 0).all()
        focal = 12 / np.tan(np.deg2rad(10))
        x, y = 12 - focal * seen[:, 0] / seen[:, 2], 12 + focal * seen[:, 1] / seen[:, 2]
        rows, columns = np.nonzero(np.asarray(Image.open(tmp_path / "views" / "cube" / f"{view:03d}.png"))[..., 3])
        assert columns.min() == pytest.approx(x.min(), abs=1.5) and columns.max() + 1 == pytest.approx(x.max(), abs=1.5)
        assert rows.min() == pytest.approx(y.min(), abs=1.5) and rows.max() + 1 == pytest.approx(y.max(), abs=1.5)


def test_meshes_are_scaled_and_centred(meshes):
    first, second = (folder.load_mesh(meshes / name) for name in ("cube.glb", "sub/moved.glb"))
    np.testing.assert_allclose(first.bounds, [[-0.5, -0.5, -0.25], [0.5, 0.5, 0.25]], atol=1e-6)
    np.testing.assert_allclose(first.bounds, second.bounds, atol=1e-6)


def test_a_finished_mesh_is_not_rendered_again_and_an_unfinished_one_is(meshes, tmp_path):
    out = tmp_path / "views"
    run(meshes, out)
    kept, lost = out / "cube" / "000.png", out / "sub" / "moved" / "001.png"
    content, before = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    run(meshes, out)
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == content


def test_a_folder_of_nothing_but_broken_meshes_fails(tmp_path, capsys):
    (tmp_path / "bad.obj").write_text("not a mesh")
    assert run(tmp_path, tmp_path / "views") == 2
    said = capsys.readouterr().err
    assert "1 of 1 meshes could not be rendered" in said and f"{tmp_path / 'bad.obj'}: ValueError" in said


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["missing", "out"], "missing: no such folder"),
        (["--generate", "3"], "--generate needs --packed OUT_DIR"),
        (["--layout", "cascade", "--views", "3", "a", "b"], "--layout cascade needs --views of at least 4, not 3"),
        ([], "give MESH_DIR and OUT_DIR"),
        (["--generate", "3", "--packed", "a", "--engine", "ray"], "leave out --engine ray and --shards"),
        (["a", "--packed", "b", "--shards", "2"], "leave out --engine ray and --shards"),
        (["a", "b", "--variants", "2"], "--variants is for MESH_DIR --packed OUT_DIR"),
        (["a", "b", "--packed", "c"], "give MESH_DIR and OUT_DIR, MESH_DIR and --packed OUT_DIR"),
        (["missing", "--packed", "b"], "missing: no such folder"),
        (["a", "b", "--shards", "0"], "--shards 0; expected at least 1"),
        (["a", "b", "--distance", "2", "1"], "--distance 2 1; expected 0 < LOW <= HIGH"),
        (["a", "b", "--views", "1001"], "--views 1001; expected at most 1000, since file names have three digits"),
        (["a", "b", "--seed", "-1"], "--seed -1; expected 0 or more"),
    ],
)
def test_wrong_arguments_end_in_one_line(arguments, message, capsys):
    assert render_views.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_folder_without_meshes_is_refused(tmp_path, capsys):
    assert run(tmp_path, tmp_path / "views") == 2
    assert "no mesh found; expected files ending in" in capsys.readouterr().err


def test_the_cascade_layout_holds_the_nearby_poses_of_the_source():
    fronts = 0
    for seed in range(200):
        angles = views.view_angles(options("a", "b", "--layout", "cascade"), np.random.default_rng(seed))
        np.testing.assert_allclose(angles[1:4, :2] - angles[0, :2], [(0, 45), (0, -45), (30, 0)], atol=1e-9)
        assert -5 <= angles[0, 0] <= 25 and (np.abs(angles[4:, 0] - 25) <= 35).all()
        assert (angles[:, 2] == 3.8).all()
        fronts += abs(angles[0, 1]) <= 50
    assert 100 <= fronts <= 155  # half by intent, and 28 % of the other half by chance


def test_packed_views_are_complete_reproducible_and_resumable(tmp_path):
    arguments = [
        "--generate",
        "3",
        "--views",
        "4",
        "--size",
        "16",
        "--layout",
        "cascade",
        "--split",
        "val",
        "--workers",
        "1",
    ]
    first, second = tmp_path / "first", tmp_path / "second"
    assert render_views.main([*arguments, "--packed", str(first)]) == 0
    images, cameras = np.load(first / "images.npy"), np.load(first / "cameras.npy")
    assert images.shape == (3, 4, 16, 16, 4) and images.dtype == np.uint8
    assert (images[..., 3].max(axis=(2, 3)) == 255).all()
    assert cameras.shape == (3, 4, 3, 4) and cameras.dtype == np.float32
    meta = json.loads((first / "meta.json").read_text())
    assert meta["objects"] == 3 and meta["split"] == "val" and len(meta["families"]) == 3

    interrupted = options(*arguments, "--packed", str(second))
    second.mkdir()
    packed.prepare_arrays(interrupted, 3)
    packed.render_object(1, packed.GeneratedObjects(interrupted))
    assert not (second / "meta.json").exists()
    assert render_views.main([*arguments, "--packed", str(second)]) == 0
    np.testing.assert_array_equal(np.load(second / "images.npy"), images)
    assert json.loads((second / "meta.json").read_text()) == meta


def test_arrays_of_another_run_are_not_overwritten(tmp_path, capsys):
    base = ["--generate", "2", "--views", "4", "--workers", "1", "--packed", str(tmp_path)]
    packed.prepare_arrays(options(*base, "--size", "16"), 2)
    assert render_views.main([*base, "--size", "8"]) == 2
    assert "images.npy: shape (2, 4, 16, 16, 4) of another run, not (2, 4, 8, 8, 4)" in capsys.readouterr().err


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    ("changed", "named"), [(["--split", "val"], "--split train, not val"), (["--seed", "7"], "--seed 0, not 7")]
)
def test_arrays_of_other_settings_are_neither_gone_on_with_nor_taken_for_these(
    tmp_path, capsys, monkeypatch, complete, changed, named
):
    arguments = ["--generate", "2", "--views", "4", "--size", "8", "--workers", "1", "--packed", str(tmp_path / "out")]
    if not complete:
        monkeypatch.setattr(packed, "work", lambda *_: iter([(0, WorkerDied("was ended by SIGKILL"))]))
    assert render_views.main(arguments) == (0 if complete else 2)
    monkeypatch.undo()
    capsys.readouterr()
    assert render_views.main([*arguments, *changed]) == 2
    assert f"rendered with {named}; choose another --packed" in capsys.readouterr().err
    assert render_views.main(arguments) == 0
    assert render_views.main([*arguments[2:], "--generate", "3"]) == 2
    assert "--generate 2, not 3" in capsys.readouterr().err


@pytest.fixture
def good_meshes(meshes):
    (meshes / "broken.glb").unlink()
    return meshes


def pack(meshes, out, *more):
    """The images of the folder's meshes."""
    layout = ("--layout", "cascade", "--views", "4", "--size", "32", "--workers", "1")
    assert render_views.main([str(meshes), "--packed", str(out), *layout, *more]) == 0
    return np.load(out / "images.npy")


def test_a_folder_of_meshes_is_packed_in_the_order_of_its_names(good_meshes, tmp_path):
    images = pack(good_meshes, tmp_path / "out")
    assert images.shape == (2, 4, 32, 32, 4) and (images[..., 3].max(axis=(2, 3)) == 255).all()
    assert json.loads((tmp_path / "out" / "meta.json").read_text())["names"] == ["cube", "sub/moved"]
    assert len(open_views(str(tmp_path / "out"))) == 2


def test_variants_differ_from_each_other_and_are_the_same_in_every_run(good_meshes, tmp_path):
    images = pack(good_meshes, tmp_path / "first", "--variants", "3")
    assert images.shape[0] == 6
    assert len({image.tobytes() for image in images}) == 6
    np.testing.assert_array_equal(images, pack(good_meshes, tmp_path / "second", "--variants", "3"))


def test_a_mesh_that_cannot_be_packed_is_named(meshes, tmp_path, capsys):
    assert render_views.main([str(meshes), "--packed", str(tmp_path / "out"), "--workers", "1", "--views", "4"]) == 2
    assert f"{meshes / 'broken.glb'}: cannot be read" in capsys.readouterr().err


def test_the_source_s_elevations_can_be_chosen():
    chosen = options("a", "b", "--layout", "cascade", "--source-elevation-range", "40", "50")
    angles = np.stack([views.view_angles(chosen, np.random.default_rng(seed)) for seed in range(50)])
    assert (angles[:, 0, 0] >= 40).all() and (angles[:, 0, 0] <= 50).all() and np.ptp(angles[:, 0, 0]) > 5


def test_without_options_the_views_are_zero_1_to_3_s():
    given = options("a", "b")
    assert (given.views, given.size, given.fovy_deg) == (12, 512, 49.13)
    angles = np.concatenate([views.view_angles(given, np.random.default_rng(seed)) for seed in range(400)])
    assert 1.5 <= angles[:, 2].min() < 1.51 and 2.19 < angles[:, 2].max() <= 2.2
    # Of points in a cube: each of its six sides is seen as often, and its corners more often than on a sphere.
    rows = torch.from_numpy(angles)
    points = torch.linalg.inv(torch.linalg.inv(views.orbit(*rows.T)))[:, :3, 3] / rows[:, 2:]
    assert torch.allclose((points.abs().argmax(dim=1) == 2).double().mean(), torch.tensor(1 / 3).double(), atol=0.03)
    assert abs((points[:, 2] > 0).double().mean() - 0.5) < 0.03
    assert (points.abs().amin(dim=1) > 0.4).double().mean() > 0.15


def test_another_run_s_settings_are_not_mixed_in(meshes, tmp_path, capsys):
    run(meshes, tmp_path / "views")
    assert run(meshes, tmp_path / "views", "--seed", "1") == 2
    assert "meta.json: rendered with --seed 0, not 1; choose another OUT_DIR" in capsys.readouterr().err


def test_what_a_killed_run_left_is_cleared_away(meshes, tmp_path):
    left = tmp_path / "views" / "sub" / ".moved.1234.part"
    left.mkdir(parents=True)
    (left / "000.npy").touch()
    assert run(meshes, tmp_path / "views") == 0
    assert not left.exists()


def test_what_is_rendered_can_be_trained_on_from_folders_and_shards(meshes, tmp_path):
    out = tmp_path / "views"
    assert run(meshes, out, "--layout", "cascade", "--views", "4", "--shards", "1") == 0
    assert sorted(path.name for path in (out / "shards").glob("*.tar")) == ["000000.tar", "000001.tar"]
    with tarfile.open(out / "shards" / "000001.tar") as tar:
        assert tar.getnames()[:3] == ["sub/moved.000.npy", "sub/moved.000.png", "sub/moved.001.npy"]
    objects, columns = torch.arange(2), torch.arange(4).expand(2, -1)
    opened = [open_views(str(out)), open_views(str(out / "shards"))]
    assert all(len(one) == 2 and one.has_nearby_views for one in opened)
    assert torch.equal(*(one.rgba(objects, columns) for one in opened))
    elevation, azimuth, distance = opened[1].cameras_of(objects, columns).as_tensor()
    np.testing.assert_allclose(elevation[:, 3] - elevation[:, 0], 30, atol=1e-3)
    np.testing.assert_allclose((azimuth[:, 1] - azimuth[:, 0]) % 360, 45, atol=1e-3)
    np.testing.assert_allclose(distance, 3.8, atol=1e-5)


def test_shards_are_written_once_and_follow_their_folders(meshes, tmp_path):
    out = tmp_path / "views"
    run(meshes, out, "--shards", "1")
    shards = sorted((out / "shards").glob("*.tar"))
    content, times = shards[1].read_bytes(), [path.stat().st_mtime_ns for path in shards]
    run(meshes, out, "--shards", "1")
    assert [path.stat().st_mtime_ns for path in shards] == times
    shards[1].unlink()
    run(meshes, out, "--shards", "1")
    assert shards[1].read_bytes() == content and shards[0].stat().st_mtime_ns == times[0]
    shutil.rmtree(out / "cube")
    run(meshes, out, "--shards", "1")
    assert shards[0].stat().st_mtime_ns > times[0]
    run(meshes, out, "--shards", "2")
    assert not shards[1].exists() and len(open_views(str(out / "shards"))) == 2


def kill_itself_at_3(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number + 10


def fail_at_3(number):
    if number == 3:
        raise OSError("the disk is full")
    return number


def test_a_process_that_dies_costs_one_item_only():
    outcomes = dict(engines.in_processes(kill_itself_at_3, range(8), workers=2))
    assert isinstance(outcomes.pop(3), WorkerDied)
    assert outcomes == {number: number + 10 for number in range(8) if number != 3}


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_that_no_item_is_to_blame_for_end_the_run(workers):
    with pytest.raises(OSError, match="the disk is full"):
        dict(engines.in_processes(fail_at_3, range(8), workers=workers))


def test_a_mesh_that_kills_its_worker_is_listed(meshes, tmp_path, monkeypatch):
    played = [(("cube", meshes / "cube.glb"), WorkerDied("died twice")), (("broken", None), None)]
    monkeypatch.setattr(folder, "work", lambda task, items, options: iter(played))
    assert run(meshes, tmp_path / "views") == 0
    assert (tmp_path / "views" / "unreadable.txt").read_text() == f"{meshes / 'cube.glb'}: its worker died twice\n"


def test_without_ray_its_engine_says_what_to_install(meshes, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(meshes, tmp_path / "views", "--engine", "ray") == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: --engine ray needs Ray: pip install")


def test_ray_renders_the_same_views(meshes, tmp_path):
    pytest.importorskip("ray")
    assert run(meshes, tmp_path / "here") == 0
    assert run(meshes, tmp_path / "ray", "--engine", "ray") == 0
    for path in sorted((tmp_path / "here").rglob("*.*")):
        assert (tmp_path / "ray" / path.relative_to(tmp_path / "here")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("layout", "model"), [("random", Settings()), ("cascade", Settings(fovy_deg=20.0, camera_distance=3.8))]
)
def test_the_default_cameras_are_those_of_the_published_models_and_of_the_small_one(layout, model, tmp_path):
    made = options("meshes", str(tmp_path), "--layout", layout)
    keep_settings(made.out_dir / "meta.json", folder.settings_of(made), "OUT_DIR")
    refuse_other_camera(tmp_path, model)
    with pytest.raises(UserError, match="meta.json: rendered with a field of view"):
        refuse_other_camera(tmp_path, Settings(fovy_deg=35.0))
