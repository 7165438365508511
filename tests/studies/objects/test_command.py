from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from studies.objects import command as make_objects
from studies.objects import make_object, object_seed
from threestudio.cameras import orbit
from threestudio.mesh.renderer import render_mesh


def test_objects_are_written_y_up_with_their_colours(tmp_path):
    options = ["--count", "2", "--seed", "5", "--split", "test", "--detail", "1", "--texture-size", "0"]
    assert make_objects.main([str(tmp_path), *options]) == 0
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["test-000005.glb", "test-000006.glb"]
    written = trimesh.load_mesh(tmp_path / "test-000005.glb", process=False)
    truth = make_object(object_seed("test", 5))
    # glTF's x, y, z are the world's y, z, x.
    np.testing.assert_allclose(written.vertices, np.asarray(truth.vertices)[:, [1, 2, 0]], atol=1e-5)
    np.testing.assert_array_equal(written.visual.vertex_colors, truth.visual.vertex_colors)


def test_objects_have_a_texture_and_look_like_those_with_vertex_colours(tmp_path):
    options = ["--count", "1", "--seed", "1", "--split", "test", "--detail", "4"]
    pictures = []
    for size in ("512", "0"):
        assert make_objects.main([str(tmp_path / size), *options, "--texture-size", size]) == 0
        mesh = trimesh.load_mesh(tmp_path / size / "test-000001.glb", process=False)
        texture = mesh.visual.material.baseColorTexture if size == "512" else None
        assert texture is None or texture.size == (512, 512)
        camera = orbit(torch.tensor([20.0]), torch.tensor([30.0]), torch.tensor([3.8]))
        pictures.append(render_mesh(mesh, camera, 20.0, 128, 128, 2, "diffuse")[0].astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 2
    assert pictures[0][..., 3].max() == 255 and pictures[0][..., :3].std() > 10


@pytest.mark.parametrize("size", ["-1", "100", "9000"])
def test_a_texture_size_out_of_range_is_refused(tmp_path, size, capsys):
    assert make_objects.main([str(tmp_path / "out"), "--texture-size", size]) == 2
    assert f"--texture-size {size}; expected 0 or 256 to 8192" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_splits_share_no_object(tmp_path):
    for split in ("train", "val", "test"):
        assert make_objects.main([str(tmp_path), "--count", "2", "--split", split, "--detail", "1"]) == 0
    meshes = [trimesh.load_mesh(path, process=False) for path in sorted(tmp_path.iterdir())]
    assert len(meshes) == 6
    assert len({mesh.vertices.tobytes() for mesh in meshes}) == 6
    assert object_seed("train", make_objects.SEEDS - 1) < object_seed("val", 0)
    assert object_seed("val", make_objects.SEEDS - 1) < object_seed("test", 0)


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--count", "0"], ["--seed", "999999999", "--count", "2"]])
def test_seeds_that_would_leave_their_split_are_refused(tmp_path, wrong, capsys):
    assert make_objects.main([str(tmp_path / "out"), *wrong]) == 2
    assert "seeds from 0 below 1000000000" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_family_is_named_with_the_nearest(tmp_path, capsys):
    assert make_objects.main([str(tmp_path), "--family", "teapots"]) == 2
    assert capsys.readouterr().err == 'error: no object family "teapots"; did you mean "teapot"?\n'


def test_a_sample_of_another_kind_of_file_is_refused(tmp_path, capsys):
    assert make_objects.main([str(tmp_path / "cat.stl"), "--sample", "cat"]) == 2
    assert "(.glb) or a picture (.png), not .stl" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cat", "teapot", "bird"])
def test_the_sample_pictures_are_those_of_their_objects(name, tmp_path):
    committed = Path(__file__).parents[3] / "load" / "images" / f"{name}.png"
    made = tmp_path / f"{name}.png"
    assert make_objects.main([str(made), "--sample", name]) == 0
    first, second = (np.asarray(Image.open(path)).astype(int) for path in (committed, made))
    assert first.shape == (512, 512, 4)
    # The last bit of a sine may differ between machines, which can move an edge of a pattern by a pixel.
    assert (np.abs(first - second).max(axis=-1) > 8).mean() < 0.002
