"""A watched run ends where an unwatched one does."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from threestudio.utils.live_picture import LIVE, SIDE, LivePicture, rendered
from threestudio.utils.random_state import random_state

TURNTABLE = SimpleNamespace(eval_elevation_deg=15.0, eval_camera_distance=3.8, eval_fovy_deg=20.0)


class Field(torch.nn.Module):
    """Paints the direction that it is looked at from; draws a random number, as a renderer may."""

    device = torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.asked = []

    def renderer(self, **view):
        assert not self.training
        torch.rand(())
        self.asked.append(view)
        shape = (1, view["height"], view["width"], 3)
        return {"comp_rgb": view["camera_positions"].sigmoid().view(1, 1, 1, 3).expand(shape)}


def test_modes_and_random_states_are_as_they_were():
    field = Field().train()
    before = random_state()
    picture = rendered(field, TURNTABLE, 0.0)
    assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
    assert field.training and torch.equal(random_state()["torch"], before["torch"])


def test_a_picture_every_so_often_each_a_little_further_around(tmp_path):
    field, trainer = Field(), SimpleNamespace(datamodule=SimpleNamespace(turntable=TURNTABLE))
    watching = LivePicture(tmp_path, 0.0)
    for _ in range(3):
        watching.on_train_batch_end(trainer, field)
    with Image.open(tmp_path / LIVE) as picture:
        assert picture.size == (SIDE, SIDE)
    first, second, _ = (view["camera_positions"] for view in field.asked)
    assert not torch.allclose(first, second)
    assert torch.allclose(first.norm(), second.norm())
    watching.seconds = 1000.0
    watching.on_train_batch_end(trainer, field)
    assert len(field.asked) == 3


def test_what_has_no_field_or_no_turntable_is_left_alone(tmp_path):
    watching = LivePicture(tmp_path, 0.0)
    watching.on_train_batch_end(SimpleNamespace(datamodule=SimpleNamespace()), Field())
    watching.on_train_batch_end(SimpleNamespace(datamodule=SimpleNamespace(turntable=TURNTABLE)), SimpleNamespace())
    assert list(tmp_path.iterdir()) == []
