import json

import numpy as np
import pytest
import trimesh
from PIL import Image
from script_loading import load_script

render_views = load_script("render_views")


def options(*arguments):
    return render_views.parser().parse_args(list(arguments))


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
    return render_views.main([str(meshes), str(out), "--views", "3", "--size", "24", "--workers", "1", *more])


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
    assert not list(out.rglob("*.partial"))


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
    first, second = (render_views.load_mesh(meshes / name) for name in ("cube.glb", "sub/moved.glb"))
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
    assert "1 of 1 meshes could not be rendered" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["missing", "out"], "missing: no such folder"),
        (["--generate", "3"], "--generate needs --packed OUT_DIR"),
        (["--layout", "cascade", "--views", "3", "a", "b"], "--layout cascade needs --views of at least 4, not 3"),
        ([], "give MESH_DIR and OUT_DIR"),
    ],
)
def test_wrong_arguments_end_in_one_line(arguments, message, capsys):
    assert render_views.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_the_cascade_layout_holds_the_nearby_poses_of_the_source():
    fronts = 0
    for seed in range(200):
        angles = render_views.view_angles(options("a", "b", "--layout", "cascade"), np.random.default_rng(seed))
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
    render_views.prepare_arrays(interrupted)
    render_views.render_object(1, interrupted)
    assert not (second / "meta.json").exists()
    assert render_views.main([*arguments, "--packed", str(second)]) == 0
    np.testing.assert_array_equal(np.load(second / "images.npy"), images)
    assert json.loads((second / "meta.json").read_text()) == meta


def test_arrays_of_another_run_are_not_overwritten(tmp_path, capsys):
    base = ["--generate", "2", "--views", "4", "--workers", "1", "--packed", str(tmp_path)]
    render_views.prepare_arrays(options(*base, "--size", "16"))
    assert render_views.main([*base, "--size", "8"]) == 2
    assert "images.npy: shape (2, 4, 16, 16, 4) of another run, not (2, 4, 8, 8, 4)" in capsys.readouterr().err
