"""The shared part of systems; what needs a whole run is in test_launch.py."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import threestudio
from threestudio.errors import UserError
from threestudio.extensions import load_extensions
from threestudio.utils.checkpoint import save_checkpoint

PARTS = {
    "geometry_type": "toy-geometry",
    "material_type": "toy-part",
    "background_type": "toy-part",
    "renderer_type": "toy-renderer",
    "optimizer": {"name": "Adam", "args": {"lr": 0.1}},
}


@pytest.fixture
def make(toy_extension, tmp_path):
    load_extensions(toy_extension)

    def make(resumed=False, **cfg):
        system = threestudio.find("toy-system")(PARTS | cfg, resumed=resumed)
        system.set_save_dir(str(tmp_path / "save"))
        return system

    return make


def test_the_renderer_is_given_the_other_parts(make):
    system = make()
    assert torch.equal(system({"rays": torch.zeros(1, 2, 2, 3)})["comp_rgb"], torch.full((1, 2, 2, 3), 0.5))
    assert set(system.state_dict()) == {"geometry.color"}


def test_schedules_follow_the_step_of_the_checkpoint_under_test(make):
    system = make()
    system.set_resume_status(0, 5)
    assert (system.true_global_step, system.C([0, 1.0, 2.0, 10])) == (5, 1.5)


def test_a_resumed_system_knows_it_before_its_step_is_restored(make):
    assert make(resumed=True).resumed and not make().resumed


def test_weights_may_come_from_another_run_without_some_modules(make, tmp_path):
    weights = {"geometry.color": torch.ones(3), "renderer.gone": torch.ones(1)}
    save_checkpoint({"state_dict": weights, "epoch": 0, "global_step": 9}, tmp_path / "x.ckpt")
    system = make(weights=str(tmp_path / "x.ckpt"), weights_ignore_modules=["renderer"])
    assert system.geometry.color.tolist() == [1.0, 1.0, 1.0]
    assert system.geometry.steps_seen == [9]


def test_an_unknown_key_of_a_system_is_refused(make):
    with pytest.raises(UserError, match="unknown key geometri_type; did you mean geometry_type?"):
        make(geometri_type="x")


@pytest.mark.parametrize(
    "cfg",
    [{"geometry_convert_from": "x.ckpt"}, {"loggers": {"wandb": {"enable": True}}}, {"loggers": {"wandb": 3}}],
    ids=["convert", "wandb", "another wandb"],
)
def test_what_upstream_has_and_this_runtime_has_not_is_said(make, cfg):
    with pytest.raises(UserError, match="not supported|system.loggers.wandb: not supported here; set enable: false"):
        make(**cfg)


def test_upstreams_disabled_wandb_block_is_accepted(make):
    make(loggers={"wandb": {"enable": False, "project": "threestudio", "name": None}})


def test_the_guidances_view_is_saved_as_a_row_each_view(make, tmp_path):
    system = make()
    seen = {"imgs_noisy": torch.zeros(2, 4, 4, 3), "imgs_1step": torch.ones(2, 8, 8, 3), "texts": ["a", "b"]}
    system.guidance_evaluation_save(torch.zeros(2, 8, 8, 3), seen)
    picture = np.asarray(Image.open(tmp_path / "save/it0-train.png"))
    assert picture.shape == (16, 24, 3)


def test_a_single_validation_view_stays_a_picture(make, tmp_path, monkeypatch):
    system = make()
    monkeypatch.setattr(type(system), "trainer", type("Trainer", (), {"is_global_zero": True}))
    system._save_views({"index": torch.tensor([0]), "rays": torch.zeros(1, 4, 4, 3)}, 0, "val")
    system.on_validation_epoch_end()
    assert [path.name for path in (tmp_path / "save").iterdir()] == ["it0-val.png"]


def test_the_mesh_files_are_written_by_their_kind(make, tmp_path):
    from threestudio.mesh.mesh import Mesh

    corners = np.eye(4, 3)
    mesh = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]))
    system = make()
    system.save_obj("it0-export/model.obj", mesh=mesh, save_normal=False, save_uv=False)
    system.save_glb("it0-export/model.glb", mesh=mesh)
    assert {path.name for path in Path(tmp_path / "save/it0-export").iterdir()} == {"model.obj", "model.glb"}


def test_weights_of_another_system_or_size_are_refused(make, tmp_path):
    for weights, message in (
        ({"other.color": torch.ones(3)}, "x.ckpt: has none of this system's weights; check system.weights"),
        ({"geometry.color": torch.ones(4)}, "x.ckpt: its weights do not fit: .* size mismatch for geometry.color"),
    ):
        save_checkpoint({"state_dict": weights}, tmp_path / "x.ckpt")
        with pytest.raises(UserError, match=message) as error:
            make(weights=str(tmp_path / "x.ckpt"))
        assert "\n" not in str(error.value)
