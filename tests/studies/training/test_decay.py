import shutil
from pathlib import Path

import pytest
import torch
from cascade_zero123.zero123.weights.loading import load_zero123
from tiny_training import config, curve, launch

from studies.training import decay_command as decay_training
from studies.training import runs
from threestudio.errors import UserError

CONSTANT = {"system__decay_steps": 0, "system__warmup_steps": 1, "system__encoder_steps": 0}


@pytest.fixture(scope="module")
def three_steps(tmp_path_factory):
    """Of a training whose rate would stay as it is."""
    folder = tmp_path_factory.mktemp("training")
    finished = launch(config(folder, "train-base", 3, **CONSTANT))
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.fixture
def training(three_steps, tmp_path):
    """The folder of its run, to go on with."""
    return Path(shutil.copytree(three_steps / "outputs", tmp_path / "outputs")) / "train-base/tiny"


def options(tmp_path, training, steps=4, checkpoint="last.ckpt"):
    file = training / "ckpts" / checkpoint
    return decay_training.argparse.Namespace(checkpoint=file, steps=steps, name="decay", out=tmp_path / "out")


def test_the_rate_falls_from_the_checkpoint_on_and_the_training_it_is_of_stays(tmp_path, training, capfd):
    before = (training / "ckpts/last.ckpt").read_bytes()
    decay_training.decay(options(tmp_path, training), ["system.final_lr_factor=0.0"])
    run = tmp_path / "out/runs/decay"
    state = torch.load(run / "ckpts/last.ckpt", weights_only=True)
    assert state["global_step"] == 7
    rate = state["optimizer_states"][0]["param_groups"][0]["lr"]
    assert rate == 0.0
    assert len(curve(run, "train/loss")) == 4
    assert load_zero123(str(tmp_path / "out/decay/base"))
    assert (training / "ckpts/last.ckpt").read_bytes() == before
    decay_training.decay(options(tmp_path, training), ["system.final_lr_factor=0.0"])
    assert "decay: done" in capfd.readouterr().out


def test_it_is_one_run_from_there_on_whatever_becomes_of_the_training(tmp_path, training, monkeypatch):
    """Stopped on the way, it goes on with the checkpoint that it began from, though that has moved on since."""
    whole = options(tmp_path, training)
    decay_training.decay(whole, [])
    stopped = options(tmp_path / "again", training)
    run = decay_training.decay_of(stopped.checkpoint, 4, "decay", stopped.out, [])
    half = [value.replace("trainer.max_steps=7", "trainer.max_steps=5") for value in run.command(stopped.out)]
    runs.keep_settings(run, stopped.out)
    assert runs.code_of(half) == 0
    stopped.checkpoint.unlink()
    decay_training.decay(stopped, [])
    pair = [load_zero123(str(folder / "out/decay/base")) for folder in (tmp_path, tmp_path / "again")]
    for expected, found in zip(*(model.parameters() for model in pair), strict=True):
        assert torch.equal(found, expected)


def test_a_constant_rate_can_be_prolonged_and_the_rest_repeats_an_uninterrupted_run(tmp_path, training):
    file = config(tmp_path, "train-base", 6, **CONSTANT)
    assert launch(file, f"resume={training}").returncode == 0
    assert launch(file, "tag=whole").returncode == 0
    resumed, whole = (curve(folder, "train/loss") for folder in (training, training.parent / "whole"))
    assert resumed == whole and len(whole) == 6


def test_a_checkpoint_whose_rate_has_begun_to_fall_is_refused(tmp_path):
    changes = {"system__constant_steps": 1, "system__decay_steps": 3, "system__encoder_steps": 0}
    finished = launch(config(tmp_path, "train-base", 3, **changes))
    assert finished.returncode == 0, finished.stderr
    with pytest.raises(UserError, match="of step 3, and its rate falls from step 1 on"):
        decay_training.decay(options(tmp_path, tmp_path / "outputs/train-base/tiny"), [])


def test_a_checkpoint_without_its_run_and_a_decay_of_no_steps_are_refused(tmp_path, training):
    lone = (training / "ckpts/last.ckpt").rename(tmp_path / "lone.ckpt")
    given = options(tmp_path, training)
    given.checkpoint = lone
    with pytest.raises(UserError, match=r"parsed.yaml: missing; .* has to lie in the ckpts folder"):
        decay_training.decay(given, [])
    with pytest.raises(UserError, match="0 steps; a decay takes at least 1"):
        decay_training.decay(options(tmp_path, training, steps=0), [])
