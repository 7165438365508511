import json

import numpy as np
import pytest
import torch
from cascade_zero123.common.errors import UserError
from tiny_training import ROOT, SIZE, config, packed_views

from studies.training import exploration
from threestudio.errors import UserError as HostError


def options(tmp_path, *names):
    return exploration.argparse.Namespace(
        views=tmp_path / "views", out=tmp_path / "out", only=list(names), objects=4, batch=3, steps=2, scale=1.5, seed=0
    )


@pytest.mark.parametrize("name", exploration.RUNS)
def test_every_run_is_a_config_that_loads_and_a_model_that_can_be_built(name):
    from cascade_zero123.zero123.architecture import Architecture, build_model
    from omegaconf import OmegaConf

    from threestudio.utils.config import load_config

    run = exploration.run_of(name, [])
    cfg = load_config(str(ROOT / run.config), cli_args=list(run.overrides), n_gpus=1)
    assert cfg.trainer.max_steps == 600
    model = build_model(Architecture(**OmegaConf.to_container(cfg.system.architecture)))
    size = model.settings.image_size
    assert model.target_latents(torch.zeros(1, model.channels, size, size)).shape[1:] == model.latent_shape
    assert exploration.gigaflops(model) > 0.1


def test_runs_are_trained_once_and_compared_at_the_size_of_the_views(tmp_path, monkeypatch, capfd):
    tiny = config(tmp_path, "train-base", 2, system__encoder_steps=0)
    monkeypatch.setattr(exploration, "CONFIG", str(tiny))
    monkeypatch.setattr(exploration, "SHORT", [])
    monkeypatch.setitem(exploration.RUNS, "other-seed", ["seed=1"])
    exploration.explore(options(tmp_path, "reference", "other-seed"), ["system.warmup_steps=1"])
    record = json.loads((tmp_path / "out/exploration.json").read_text())
    rows = {(row["model"], row["kind"]): row for row in record["rows"]}
    assert {name for name, _ in rows} == {"reference", "other-seed"}
    assert rows["reference", "sample"]["objects"] == 4
    assert rows["reference", "one step"]["minus reference"]["PSNR"]["mean"] == 0
    assert rows["other-seed", "one step"]["minus reference"]["PSNR"]["mean"] != 0
    assert any("dB; seed=1." in note for note in record["notes"])
    capfd.readouterr()
    exploration.explore(options(tmp_path, "reference"), ["system.warmup_steps=1"])
    assert "reference: done" in capfd.readouterr().out
    with pytest.raises(HostError, match="warmup_steps 1, not 2"):
        exploration.explore(options(tmp_path, "reference"), ["system.warmup_steps=2"])


def test_views_that_a_run_needs_are_named_with_the_command_that_makes_them(tmp_path, monkeypatch):
    packed_views(tmp_path / "views")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/val").mkdir(parents=True)
    with pytest.raises(
        UserError, match="data/train-100: no such folder, and 100-objects .* --generate 100 --split train"
    ):
        exploration.explore(options(tmp_path, "100-objects"), [])
    assert not (tmp_path / "out").exists()


def test_larger_views_of_other_objects_are_refused(tmp_path):
    packed_views(tmp_path / "views")
    packed_views(tmp_path / "large")
    cameras = np.load(tmp_path / "large/cameras.npy")
    run = exploration.Run("128-px", "configs/train-base.yaml", [f"data.val_folder={tmp_path / 'large'}"])
    given = options(tmp_path, "128-px")
    truth = exploration.HeldOut(given.views, 0)
    assert exploration.views_for(2 * SIZE, run, truth, given).size == 2 * SIZE
    cameras[..., 3] += 1.0
    np.save(tmp_path / "large/cameras.npy", cameras)
    with pytest.raises(UserError, match="large: not the objects and cameras of"):
        exploration.views_for(2 * SIZE, run, truth, given)


def test_an_override_that_is_none_is_refused(tmp_path):
    with pytest.raises(HostError, match="wrong: expected key=value"):
        exploration.explore(options(tmp_path, "reference"), ["wrong"])


@pytest.mark.parametrize("size", [SIZE // 2, SIZE, 2 * SIZE])
def test_views_of_any_size_are_scored_at_one(size):
    ramp = torch.linspace(0, 1, size).expand(2, 3, size, size)
    scored = exploration.at_size(ramp, SIZE)
    assert scored.shape == (2, 3, SIZE, SIZE)
    np.testing.assert_allclose(scored[0, 0, 0], np.linspace(0, 1, SIZE), atol=0.06)
