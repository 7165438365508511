import json
import subprocess
import zipfile

import numpy as np
import pytest
import trimesh
from PIL import Image

from studies.real_objects import catalogue, models, splits
from studies.real_objects import command as make_real_objects

FIELDS = {
    "category": "Kitchen",
    "movable": "true",
    "doorOrWindow": "false",
    "creator": "A. Potter",
    "width": "10.0",
    "depth": "8.0",
    "height": "12.0",
}
BOX = "mtllib box.mtl\nusemtl side\n" + "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 3))
FACES = "f 1 3 4\nf 1 4 2\nf 5 6 8\nf 5 8 7\nf 1 2 6\nf 1 6 5\nf 3 7 8\nf 3 8 4\nf 1 5 7\nf 1 7 3\nf 2 4 8\nf 2 8 6\n"


@pytest.fixture
def library(tmp_path):
    """Of a teapot (here a red box), a door, a fixed tap, a carpet, a man, and a model whose file is broken."""
    entries = [
        {"id": "Pots#teapot", "name": "Th\\u00e9i\\u00e8re"},
        {"id": "Pots#door", "name": "Door", "doorOrWindow": "true"},
        {"id": "Pots#tap", "name": "Tap", "movable": "false"},
        {"id": "Pots#carpet", "name": "Carpet", "height": "0.1"},
        {"id": "Pots#man", "name": "Man", "category": "Characters"},
        {"id": "Pots#broken", "name": "Broken", "model": "/pots/broken/broken.obj"},
    ]
    lines = ["# A catalogue", "id=Pots", "name=All of them"]
    for number, changes in enumerate(entries, start=1):
        fields = FIELDS | {"model": "/pots/box/box.obj"} | changes
        lines += [f"{key}#{number}={value}" for key, value in fields.items()]
    path = tmp_path / "package" / "usr" / "share" / "BlendSwap-CC-BY.sh3f"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(catalogue.CATALOGUE, "\n".join(lines))
        archive.writestr("pots/box/box.obj", BOX + FACES)
        archive.writestr("pots/box/box.mtl", "newmtl side\nKd 0.8 0.1 0.1\n")
        archive.writestr("pots/broken/broken.obj", "nothing of use")
    return path


def entry(library, name):
    return next(one for one in catalogue.entries(library) if one.name == name)


def test_people_and_what_is_no_loose_solid_object_is_left_out(library):
    kept = [one.name for one in catalogue.entries(library) if one.is_object]
    assert kept == ["Théière", "Broken"]


def test_a_model_is_written_with_its_colour_and_the_broken_one_is_listed(library, tmp_path, capsys):
    out = tmp_path / "out"
    assert make_real_objects.main([str(tmp_path / "package"), str(out)]) == 1
    said = capsys.readouterr()
    assert "Pots#broken: " in said.err and "1 of 2 models" in said.out
    (path,) = out.rglob("*.glb")
    assert path.parent.name == splits.split_of("Théière") and path.name == "pots-teapot.glb"
    scene = trimesh.load_scene(path)
    np.testing.assert_allclose(scene.extents, (1, 2, 3))
    (mesh,) = scene.geometry.values()
    np.testing.assert_allclose(mesh.visual.material.baseColorFactor, (204, 25, 25, 255), atol=1)
    assert json.loads((out / "names.json").read_text())["pots-teapot"] == "Théière"


def test_credits_name_library_licence_and_authors(library, tmp_path):
    make_real_objects.main([str(tmp_path / "package"), str(tmp_path / "out")])
    text = (tmp_path / "out" / "CREDITS.md").read_text()
    assert "## BlendSwap-CC-BY: [CC BY 3.0](https://creativecommons.org/licenses/by/3.0/)" in text
    assert "- A. Potter (Broken, Théière)" in text


def test_what_is_there_is_not_made_again(library, tmp_path, monkeypatch):
    make_real_objects.main([str(tmp_path / "package"), str(tmp_path / "out")])
    tried = []
    monkeypatch.setattr(make_real_objects, "write_model", lambda one, path: tried.append(one.name))
    make_real_objects.main([str(tmp_path / "package"), str(tmp_path / "out")])
    assert tried == ["Broken"]


def test_a_model_s_own_rotation_is_applied(library, tmp_path):
    teapot = entry(library, "Théière")
    turned = catalogue.Entry(**vars(teapot) | {"rotation": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])})
    models.write_model(turned, tmp_path / "turned.glb")
    np.testing.assert_allclose(trimesh.load_scene(tmp_path / "turned.glb").extents, (1, 3, 2), atol=1e-6)


def test_a_texture_keeps_its_colours_and_large_ones_shrink():
    image = Image.new("RGBA", (4096, 64), (10, 200, 30, 0))
    material = trimesh.visual.material.SimpleMaterial(image=image, diffuse=(0, 0, 0, 255))
    visual = models.plain(trimesh.visual.TextureVisuals(uv=np.zeros((3, 2)), material=material))
    texture = visual.material.baseColorTexture
    assert texture.size == (models.LARGEST_TEXTURE, 16) and texture.getpixel((3, 3)) == (10, 200, 30)
    assert visual.material.baseColorFactor.tolist() == [255, 255, 255, 255]


@pytest.mark.parametrize(
    ("name", "split"), [("Teapot", "test"), ("teapot", "test"), ("Snowman", "val"), ("Armchair", "train")]
)
def test_a_name_is_always_in_the_same_split(name, split):
    assert splits.split_of(name) == split


def test_of_many_names_about_a_fifth_is_test_and_a_tenth_or_less_validation():
    found = [splits.split_of(f"name {number}") for number in range(5000)]
    assert found.count("test") / 5000 == pytest.approx(0.217, abs=0.02)
    assert found.count("val") / 5000 == pytest.approx(0.075, abs=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "not found; get it with `apt-get download sweethome3d-furniture`"),
        (lambda path: path.mkdir(), "no *.sh3f in it"),
        (lambda path: (path.mkdir(), (path / "a.sh3f").write_text("no zip")), "no library of models"),
    ],
)
def test_what_is_no_package_is_told_in_one_line(tmp_path, make, message, capsys):
    make(tmp_path / "package")
    assert make_real_objects.main([str(tmp_path / "package"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_package_file_is_unpacked_and_a_broken_one_named(library, tmp_path, monkeypatch, capsys):
    package = tmp_path / "furniture.deb"
    package.write_bytes(b"a package")
    monkeypatch.setattr(catalogue.shutil, "which", lambda name: "/usr/bin/dpkg-deb")

    def unpack(command, **options):
        (command[3] / library.name).write_bytes(library.read_bytes())
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(catalogue.subprocess, "run", unpack)
    make_real_objects.main([str(package), str(tmp_path / "out")])
    assert len(list((tmp_path / "out").rglob("*.glb"))) == 1

    failed = subprocess.CompletedProcess([], 2, stderr="dpkg-deb: error: not a Debian\npackage")
    monkeypatch.setattr(catalogue.subprocess, "run", lambda command, **options: failed)
    assert make_real_objects.main([str(package), str(tmp_path / "out")]) == 2
    assert f"{package}: dpkg-deb: error: not a Debian package" in capsys.readouterr().err
