"""The packed mesh is unpacked here as viewer.js does it, slowly."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
import trimesh
from batch_stand_ins import as_trimesh, save_pictures, square
from PIL import Image

from threestudio.web import embedding


def unpacked(data: bytes, count: int, width: int) -> tuple[list[int], bytes]:
    """Whole numbers, not negative, and what comes after them."""
    values, total = [], 0
    for row in range(count):
        zigzag = sum(data[byte * count + row] << (8 * byte) for byte in range(width))
        total = (total + (zigzag >> 1 if zigzag % 2 == 0 else -(zigzag >> 1) - 1)) % (1 << (8 * width))
        values.append(total)
    return values, data[count * width :]


def read(text: str) -> dict:
    parts = json.loads(text)
    data = zlib.decompress(base64.b64decode(parts["packed"]))
    columns = []
    for width in (2, 2, 2, 1, 1, 1, 2, 2):
        values, data = unpacked(data, parts["vertices"], width)
        columns.append(np.array(values))
    faces, rest = unpacked(data, 3 * parts["faces"], 3)
    assert rest == b""
    low, high = np.array(parts["low"]), np.array(parts["high"])
    return {
        "positions": low + np.stack(columns[:3], axis=1) / 65535 * (high - low),
        "normals": (np.stack(columns[3:6], axis=1).astype(np.uint8).view(np.int8)) / 127,
        "uv": np.stack(columns[6:], axis=1) / 65535,
        "faces": np.array(faces).reshape(-1, 3),
        "texture": parts["texture"],
    }


@pytest.mark.parametrize("width", [1, 2, 3])
def test_packed_numbers_come_back_whatever_their_differences(width):
    values = np.random.default_rng(0).integers(0, 1 << (8 * width), 200)
    values[:4] = [0, (1 << (8 * width)) - 1, 0, 1 << (8 * width - 1)]
    assert unpacked(embedding.packed(values, width), len(values), width) == (values.tolist(), b"")


def test_a_mesh_comes_back_within_a_step_of_its_grid():
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    found = read(embedding.mesh_text(ball))
    assert np.abs(found["positions"] - ball.vertices).max() < 1e-5
    assert np.abs(found["normals"] - ball.vertex_normals).max() < 0.005
    assert np.array_equal(found["faces"], ball.faces)
    assert found["texture"] is None


def test_texture_coordinates_count_from_the_upper_left_corner_of_the_texture():
    found = read(embedding.mesh_text(as_trimesh(square())))
    texture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["texture"]))).convert("RGB")).astype(int)
    upper_left = np.argmax(found["positions"] @ np.array([0, -1, 1]))
    column, row = np.clip(found["uv"][upper_left] * 16, 0, 15).astype(int)
    assert np.abs(texture[row, column] - [255, 0, 0]).max() < 40


def test_a_detailed_mesh_takes_a_fraction_of_its_file():
    rng = np.random.default_rng(0)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.5)
    texture = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize((512, 512), Image.Resampling.BICUBIC)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=texture)
    ball.visual = trimesh.visual.TextureVisuals(uv=rng.random((len(ball.vertices), 2)), material=material)
    assert len(embedding.mesh_text(ball)) < 0.5 * len(ball.export(file_type="glb"))


def test_pictures_keep_their_transparency_and_are_made_small(tmp_path):
    path = save_pictures(tmp_path, cat=(0.9, 0.5, 0.1)) / "cat.png"
    uri = embedding.picture_uri(path, side=32)
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,"))))
    assert picture.size == (32, 32)
    assert picture.convert("RGBA").getpixel((0, 0))[3] == 0
