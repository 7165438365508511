"""The command line, on an experiment in miniature: what is refused, and what is safe meanwhile."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_run import colors, only_error, run


@pytest.mark.parametrize(
    "override, message",
    [
        ("resume=nowhere.ckpt", "nowhere.ckpt: no such checkpoint"),
        ("resume=cat.png", "cat.png: empty"),
        ("resume=.", "has no ckpts/last.ckpt"),
        ("data.image_path=dog.png", "dog.png: no such file"),
        ("data.image=dog.png", "command line: unknown key data.image; did you mean image_path?"),
        ("system.geometry_type=toy-geometri", 'no component "toy-geometri"; did you mean "toy-geometry"?'),
        ("trainer.max_step=3", "unknown key trainer.max_step; did you mean max_steps?"),
        ("checkpoint.save_lst=3", "unknown key checkpoint.save_lst; did you mean save_last?"),
        ("system.optimizer.name=AdaW", 'system.optimizer.name: unknown "AdaW"; did you mean AdamW?'),
        ("exp_root_dir=cat.png", "cat.png: not a folder"),
        ("trainer.precision=17", "trainer: "),
        ("checkpoint.save_top_k=-2", "checkpoint.save_top_k: -2 is not within -1"),
        ("seed=-1", "seed: -1 is not within 0 and"),
        ("max_steps", "command line: unknown argument max_steps; settings are given as key=value"),
        ("data=[1", "command line: data=[1: "),
        ("data=3", "data: "),
        ("tag=", "command line: tag: "),
        ("system.optimizer.name=3", 'system.optimizer.name: unknown "3"'),
        ("system.loss.lambda_rgb={a: 1}", "lambda_rgb: {'a': 1} is neither a number nor a schedule"),
    ],
)
def test_wrong_input_ends_in_one_line_and_leaves_nothing(workplace, capsys, override, message):
    before = sorted(workplace.rglob("*"))
    assert run(override) == 2
    assert message in only_error(capsys)
    assert sorted(path for path in workplace.rglob("*") if path.is_file()) == [p for p in before if p.is_file()]


def write_pictures():
    clear = np.zeros((64, 64, 4), np.uint8)
    Image.fromarray(clear).save("clear.png")
    Image.fromarray(clear[:1, :1]).save("dot.png")
    busy = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    busy.save("busy.png")
    Path("cut.png").write_bytes(Path("busy.png").read_bytes()[:2000])
    Path("text.png").write_text("no picture")
    Path("folder.png").mkdir()


@pytest.mark.parametrize(
    "name, message",
    [
        ("dog.png", "dog.png: not found"),
        ("folder.png", "folder.png: a folder"),
        ("text.png", "text.png: not a picture"),
        ("cut.png", "cut.png: truncated or damaged"),
        ("clear.png", "clear.png: fully transparent"),
        ("dot.png", "dot.png: the picture is 1 x 1 pixels"),
        ("busy.png", "busy.png: opaque with a busy background"),
    ],
)
def test_a_wrong_picture_ends_in_one_line_and_leaves_nothing(workplace, capsys, name, message):
    write_pictures()
    assert run("data_type=single-image-datamodule", f"data.image_path={name}") == 2
    assert only_error(capsys).startswith(message)
    assert not Path("outputs").exists()


def test_weights_without_the_state_of_a_run_cannot_be_resumed(workplace, capsys):
    torch.save({"state_dict": {"geometry.color": torch.zeros(3)}}, "weights.ckpt")
    assert run("resume=weights.ckpt") == 2
    assert only_error(capsys).startswith("weights.ckpt: weights without the state of a run (no epoch)")


def test_a_folder_without_write_permission_is_refused_before_any_work(workplace, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert run() == 2
    assert "no permission to write there; pass another exp_root_dir=" in only_error(capsys)


def test_a_full_disk_keeps_the_previous_checkpoint(workplace, capsys, monkeypatch):
    assert run("trainer.max_steps=8") == 0
    capsys.readouterr()
    before = colors()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert run("resume=outputs/toy/cat", "trainer.max_steps=20") == 2
    assert "no space left on the disk" in only_error(capsys)
    assert colors()[0] == before[0]
    assert torch.equal(colors()[1], before[1])


def test_an_error_of_ours_shows_its_traceback(workplace, capsys, monkeypatch):
    monkeypatch.setattr("threestudio.run.load_config", lambda *args, **kwargs: 1 / 0)
    assert run() == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def damaged(change):
    """The run's last checkpoint, with something else in it."""
    path = Path("outputs/toy/cat/ckpts/last.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)


def set_in(*keys, to):
    def change(checkpoint):
        part = checkpoint
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = to

    return change


NAN = float("nan")
ODD = {
    "no counters": (set_in("loops", to={}), "a part of it is missing or odd (KeyError: 'fit_loop')"),
    "no version": (lambda checkpoint: checkpoint.pop("pytorch-lightning_version"), "no pytorch-lightning_version"),
    "string weights": (set_in("state_dict", "geometry.color", to="red"), "geometry.color is 'red', expected a Tensor"),
    "whole weights": (
        set_in("state_dict", "geometry.color", to=torch.zeros(3, dtype=torch.int64)),
        "geometry.color is torch.int64 there, torch.float32 here",
    ),
    "nan weights": (set_in("state_dict", "geometry.color", to=torch.full((3,), NAN)), "values that are not finite"),
    "no optimiser": (set_in("optimizer_states", to=None), "optimizer_states is None, expected a list"),
    "optimisers gone": (set_in("optimizer_states", to=[]), "optimizer_states"),
    "empty optimiser": (
        set_in("optimizer_states", 0, "state", to={}),
        "optimizer_states: none for some of the weights",
    ),
    "other optimiser": (
        set_in("optimizer_states", 0, "state", 0, "exp_avg", to=torch.zeros(7)),
        "optimizer_states: exp_avg is (7,), its weights (3,)",
    ),
    "nan optimiser": (
        set_in("optimizer_states", 0, "state", 0, "exp_avg", to=torch.full((3,), NAN)),
        "optimizer_states: exp_avg holds what are no finite numbers",
    ),
    "negative step": (set_in("global_step", to=-3), "global_step is -3, expected a whole number from 0 on"),
    "random numbers": (set_in("random", to={"python": 3}), "random is no state of random numbers"),
    "config": (set_in("config", to=[1]), "config is [1], expected a dict"),
    "callbacks": (set_in("callbacks", to=3), "callbacks is 3, expected a dict"),
}


@pytest.mark.parametrize("change, message", ODD.values(), ids=ODD)
def test_an_odd_or_missing_part_of_a_checkpoint_is_named(workplace, capsys, change, message):
    assert run("trainer.max_steps=4") == 0
    damaged(change)
    capsys.readouterr()
    assert run("resume=outputs/toy/cat", "trainer.max_steps=8") == 2
    line = only_error(capsys)
    assert "last.ckpt: " in line and message in line


def test_training_stops_at_the_first_term_that_is_not_finite_and_keeps_the_last_checkpoint(workplace, capsys):
    assert run("system.nan_at_step=6") == 2
    line = only_error(capsys)
    assert line.startswith("step 6: train/toy is not finite; training stopped, outputs/toy/cat/ckpts/last.ckpt is as")
    step, color = colors()
    assert step == 4 and torch.isfinite(color).all()


def test_training_stops_at_a_gradient_that_is_not_finite(workplace, capsys):
    assert run("system.nan_gradient_at_step=2") == 2
    assert only_error(capsys).startswith("step 2: the gradient of geometry.color is not finite; training stopped")
    assert not Path("outputs").exists() or not list(Path("outputs").rglob("*.ckpt"))


@pytest.mark.parametrize("gpu", ["cuda:0", "all", "cpu", "0,", "-2"])
def test_a_choice_of_gpus_that_cuda_would_pass_over_is_refused(workplace, capsys, gpu):
    assert run(f"--gpu={gpu}") == 2
    assert only_error(capsys) == f"--gpu {gpu}: expected numbers of CUDA devices, as 0 or 1,2, or -1 for the CPU"


def test_a_gpu_that_is_asked_for_and_not_there_is_said(workplace, capsys):
    assert run("--gpu=3", "trainer.max_steps=1") == 0
    assert "--gpu 3: there is no CUDA device, the CPU is used" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["ckpts", "save", "configs"])
def test_a_file_where_a_folder_is_to_be_made_is_named(workplace, capsys, folder):
    trial = Path("outputs/toy/cat")
    trial.mkdir(parents=True)
    (trial / folder).write_text("mine")
    assert run() == 2
    line = only_error(capsys)
    assert str(trial / folder) in line and "Traceback" not in line
    assert (trial / folder).read_text() == "mine"
