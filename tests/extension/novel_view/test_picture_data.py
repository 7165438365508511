import pytest
import torch
from cascade_zero123.cascade.source import object_ratio
from cascade_zero123.novel_view.picture_data import PictureFileDataModule
from PIL import Image
from tiny_zero123 import ball_picture


@pytest.fixture
def ball(tmp_path):
    path = tmp_path / "ball.png"
    Image.fromarray((ball_picture(size=64, ratio=0.5) * 255).byte().numpy()).save(path)
    return str(path)


def test_the_picture_is_taken_as_it_is_with_its_camera(ball):
    camera = {"default_elevation_deg": 10, "default_azimuth_deg": -20, "default_camera_distance": 1.5}
    (batch,) = PictureFileDataModule({"image_path": ball, **camera}).test_dataloader()
    torch.testing.assert_close(batch["rgba"][0], ball_picture(size=64, ratio=0.5), atol=1 / 255, rtol=0)
    assert [batch[key].tolist() for key in ("elevation", "azimuth", "camera_distances")] == [[10.0], [-20.0], [1.5]]


def test_it_is_reframed_if_asked_for(ball):
    batch = PictureFileDataModule({"image_path": ball, "object_ratio": 0.8}).batch()
    assert object_ratio(batch["rgba"][0]) == pytest.approx(0.8, abs=0.02)
