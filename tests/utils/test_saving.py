import json

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from PIL import Image

from threestudio.errors import UserError
from threestudio.utils.saving import SaverMixin


@pytest.fixture
def saver(tmp_path):
    saver = SaverMixin()
    saver.set_save_dir(str(tmp_path / "save"))
    return saver


def test_folders_are_made_on_the_way(saver, tmp_path):
    assert saver.save_json("a/b.json", {"x": 1}) == str(tmp_path / "save/a/b.json")
    assert json.loads((tmp_path / "save/a/b.json").read_text()) == {"x": 1}


def test_colours_keep_their_order(saver):
    path = saver.save_rgb_image("red.png", torch.tensor([1.0, 0.0, 0.0]).expand(2, 2, 3))
    assert Image.open(path).getpixel((0, 0)) == (255, 0, 0)


def test_a_grid_may_carry_texts(saver):
    path = saver.save_image_grid("grid.png", [{"type": "rgb", "img": torch.ones(20, 20, 3)}], texts=["t=1"])
    assert np.asarray(Image.open(path)).min() < 255


def test_frames_follow_the_number_in_their_names_and_odd_sides_are_kept_whole(saver):
    for index in (10, 9, 2):
        saver.save_image(f"frames/{index}.png", np.full((9, 15, 3), index * 20, np.uint8))
    video = imageio.imread(saver.save_img_sequence("turn", "frames", r"(\d+)\.png", fps=10))
    assert video.shape == (3, 10, 16, 3)
    assert np.allclose(video.mean(axis=(1, 2, 3)), [40, 180, 200], atol=8)


def test_a_gif_is_made_when_asked_for(saver):
    saver.save_image("frames/0.png", np.zeros((4, 4, 3), np.uint8))
    assert saver.save_img_sequence("turn", "frames", r"(\d+)\.png", save_format="gif").endswith("turn.gif")


def test_a_folder_without_frames_is_named(saver):
    saver.save_json("frames/x.json", 1)
    with pytest.raises(UserError, match=r"frames: has no images for turn"):
        saver.save_img_sequence("turn", "frames", r"(\d+)\.png")


def test_nothing_half_written_stays_behind(saver, tmp_path):
    with pytest.raises(ValueError):
        saver.save_image("x.unknown", np.zeros((2, 2, 3), np.uint8))
    assert list((tmp_path / "save").iterdir()) == []
