from dataclasses import dataclass

import pytest
import torch

from threestudio.errors import UserError
from threestudio.utils.base import BaseModule, BaseObject, Updateable, update_end_if_possible, update_if_possible
from threestudio.utils.checkpoint import save_checkpoint
from threestudio.utils.misc import find_last_path


class Recorder(BaseObject):
    def configure(self):
        self.seen = []

    def update_step(self, epoch, global_step, on_load_weights=False):
        self.seen.append((global_step, on_load_weights))

    def update_step_end(self, epoch, global_step):
        self.seen.append(("end", global_step))


class Field(BaseModule):
    @dataclass
    class Config(BaseModule.Config):
        width: int = 2

    def configure(self):
        self.linear = torch.nn.Linear(self.cfg.width, 1)
        self.recorder = Recorder({})
        self._hidden = Recorder({})
        self.inner = Inner()


class Inner(torch.nn.Module, Updateable):
    def update_step(self, epoch, global_step, on_load_weights=False):
        self.step = global_step


def test_a_step_reaches_nested_objects_and_modules_but_not_private_ones():
    field = Field({})
    field.do_update_step(0, 7)
    field.do_update_step_end(0, 7)
    assert field.recorder.seen == [(7, False), ("end", 7)]
    assert field.inner.step == 7
    assert field._hidden.seen == []


def test_what_is_not_updateable_is_passed_over():
    update_if_possible(object(), 0, 1)
    update_end_if_possible(object(), 0, 1)


def test_components_are_made_for_this_machines_device():
    assert Field({}).device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_no_config_means_the_defaults():
    assert Field().cfg.width == 2


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "x.ckpt"
    weights = {f"geometry.{key}": value + 1 for key, value in Field().state_dict().items()}
    save_checkpoint({"state_dict": weights, "epoch": 0, "global_step": 30}, path)
    return path, weights


def test_weights_come_from_a_module_of_a_checkpoint_with_its_step(checkpoint):
    path, weights = checkpoint
    field = Field({"weights": f"{path}:geometry"})
    assert torch.equal(field.linear.bias, weights["geometry.linear.bias"])
    assert field.recorder.seen == [(30, True)]


def test_weights_of_another_shape_are_refused_in_one_line(checkpoint):
    path, _ = checkpoint
    with pytest.raises(UserError, match="geometry does not fit: .*size mismatch for linear.weight") as error:
        Field({"weights": f"{path}:geometry", "width": 3})
    assert "\n" not in str(error.value)


def test_weights_without_a_module_name_are_refused():
    with pytest.raises(UserError, match="expected path/to/checkpoint:module_name"):
        Field({"weights": "x.ckpt"})


def test_the_last_of_several_runs_is_found_or_named(tmp_path):
    for time in ("@20260101", "@20261130"):
        (tmp_path / f"cat{time}" / "ckpts").mkdir(parents=True)
        (tmp_path / f"cat{time}" / "ckpts/last.ckpt").touch()
    assert find_last_path(f"{tmp_path}/cat@LAST/ckpts/last.ckpt") == f"{tmp_path}/cat@20261130/ckpts/last.ckpt"
    with pytest.raises(UserError, match="nothing found for LAST in"):
        find_last_path(f"{tmp_path}/dog@LAST/ckpts/last.ckpt")
