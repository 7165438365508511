import json

import numpy as np
import pytest
import torch
from PIL import Image

import threestudio
from threestudio.errors import UserError
from threestudio.picture.further_pictures import box_of

CAMERA = {"default_elevation_deg": 10.0, "default_azimuth_deg": 0.0, "default_camera_distance": 3.8}


def box(path, height, width, color):
    rgba = np.zeros((100, 100, 4), dtype=np.uint8)
    rgba[50 - height // 2 : 50 + height // 2, 50 - width // 2 : 50 + width // 2] = (*color, 255)
    Image.fromarray(rgba).save(path)


@pytest.fixture
def folder(tmp_path):
    """A box that is 40 high and 30 wide, its back as large, its side 60 wide and taken from nearer."""
    box(tmp_path / "front.png", 40, 30, (255, 0, 0))
    box(tmp_path / "back.png", 40, 30, (0, 255, 0))
    box(tmp_path / "side.png", 60, 90, (0, 0, 255))
    return tmp_path


def middle(rgba):
    return rgba[len(rgba) // 2, len(rgba) // 2]


def module(folder, **keys):
    small = {"height": 8, "width": 8, "batch_size": 1}
    given = {"image_path": str(folder / "front.png"), "height": 16, "width": 16, "random_camera": small}
    return threestudio.find("single-image-datamodule")(given | CAMERA | keys)


def test_each_picture_has_its_camera_at_the_source_s_distance(folder):
    data = module(folder, pictures={"back.png": {"azimuth": 180}, "side.png": {"azimuth": -90, "elevation": 15}})
    cameras = [camera for _, camera in data.further]
    assert [float(camera.azimuth_deg) for camera in cameras] == [180, -90]
    assert [float(camera.elevation_deg) for camera in cameras] == [0, 15]
    assert all(camera.distance.tolist() == [3.8] for camera in cameras)
    shown = data.further_to_show()
    assert [angles for _, *angles in shown] == [[180, 0], [-90, 15]]
    assert middle(shown[0][0]).tolist() == pytest.approx([0, 1, 0, 1], abs=0.02)


def test_from_about_one_height_the_object_is_as_tall_as_in_the_source(folder):
    data = module(folder, pictures={"side.png": {"azimuth": 90, "elevation": 5}}, object_ratio=0.5)
    assert box_of(data.picture) == pytest.approx((0.5, 0.375), abs=0.02)
    assert box_of(data.further[0][0]) == pytest.approx((0.5, 0.75), abs=0.02)


def test_from_another_height_its_larger_side_is_the_source_s(folder):
    data = module(folder, pictures={"side.png": {"azimuth": 90, "elevation": 60}}, object_ratio=0.5)
    assert box_of(data.further[0][0]) == pytest.approx((1 / 3, 0.5), abs=0.02)


def test_pictures_that_are_not_centred_are_taken_as_they_are(folder):
    data = module(folder, pictures={"side.png": {"azimuth": 90}}, recenter=False)
    assert box_of(data.further[0][0]) == pytest.approx((0.6, 0.9), abs=0.02)


def test_a_list_of_cameras_as_novel_views_are_saved_with_names_them_too(folder):
    (folder / "views").mkdir()
    (folder / "back.png").rename(folder / "views/000.png")
    views = [{"file": "000.png", "azimuth_deg": 180.0, "elevation_deg": 10.0, "distance": 3.8}]
    (folder / "views/cameras.json").write_text(json.dumps({"fovy_deg": 20, "views": views}))
    ((picture, camera),) = module(folder, pictures="views/cameras.json").further
    assert picture.path == folder / "views/000.png" and float(camera.azimuth_deg) == 180


def test_the_field_is_fitted_to_one_of_them_in_each_step(folder):
    data = module(folder, pictures={"back.png": {"azimuth": 180}, "side.png": {"azimuth": 90}})
    data.setup("fit")
    batches = [data.train_dataset.collate(step) for step in range(3)]
    brightest = [batch["further"]["rgb"][0, 8, 8].argmax().item() for batch in batches]
    assert brightest == [1, 2, 1] and batches[0]["rgb"][0, 8, 8].argmax() == 0
    assert torch.allclose(batches[0]["further"]["camera_positions"][0, 0], torch.tensor(-3.8))
    alone = module(folder)
    alone.setup("fit")
    plain = alone.train_dataset.collate(0)
    assert "further" not in plain
    assert all(torch.equal(value, batches[0][key]) for key, value in plain.items() if torch.is_tensor(value))


def test_they_can_be_shown_without_being_fitted(folder):
    data = module(folder, pictures={"back.png": {"azimuth": 180}}, fit_pictures=False)
    data.setup("fit")
    assert "further" not in data.train_dataset.collate(0) and len(data.further_to_show()) == 1


def test_white_parts_of_all_pictures_are_filled_or_of_none(folder):
    box(folder / "back.png", 40, 30, (255, 255, 255))
    data = module(folder, pictures={"back.png": {"azimuth": 180}}, fill_white=True)
    assert middle(data.further_to_show()[0][0])[:3].min() < 0.95
    data.setup("fit")
    data.keep_white()
    assert middle(data.further_to_show()[0][0])[:3].min() > 0.98


@pytest.mark.parametrize(
    "pictures, message",
    [
        ({"gone.png": {"azimuth": 180}}, "gone.png: not found; data.pictures names it"),
        ({"back.png": 180}, "data.pictures.back.png: 180; expected {azimuth: .., elevation: ..} in degrees"),
        ({"back.png": {"elevation": 0}}, "data.pictures.back.png: {'elevation': 0}; expected {azimuth: .."),
        ({"back.png": {"azimuth": 180, "distance": 3}}, "expected {azimuth: .., elevation: ..} in degrees"),
        ({"back.png": {"azimuth": 0, "elevation": 100}}, "elevation 100; expected within 720 and 90 degrees"),
        ({"back.png": {"azimuth": "left"}}, "azimuth left, elevation 0.0; expected within 720 and 90 degrees"),
        (5, "data.pictures: 5; expected {file: {azimuth: .., elevation: ..}} or a JSON file"),
        ("front.png", 'front.png: expected {"views": [{"file": ..'),
    ],
)
def test_what_is_no_list_of_pictures_is_refused_in_one_line(folder, pictures, message):
    with pytest.raises(UserError) as caught:
        module(folder, pictures=pictures).further  # noqa: B018
    assert message in str(caught.value) and "\n" not in str(caught.value)
