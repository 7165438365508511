"""Whole trainings through launch.py: both kinds, resumed, with several processes, accumulated."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from cascade_zero123.zero123.weights.loading import load_zero123
from tiny_training import ROOT, config, curve, launch, losses, xl_config


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Refiner training of eight steps in one go."""
    folder = tmp_path_factory.mktemp("whole")
    finished = launch(config(folder, "train-refiner", 8))
    assert finished.returncode == 0, finished.stderr
    return folder / "outputs/train-refiner/tiny"


def test_a_refiner_run_leaves_both_models_and_base_has_moved(whole):
    weights = whole / "save/weights/it8"
    base, refiner = load_zero123(str(weights / "base")), load_zero123(str(weights / "refiner"))
    start = load_zero123(str(whole.parents[2] / "init")).unet.conv_in.weight
    # What Base follows is the Refiner as it is trained; the one that is saved is its moving average.
    trained = torch.load(whole / "ckpts/last.ckpt", weights_only=True)["state_dict"]["model.unet.conv_in.weight"]
    moved = [(weight - start).abs().max() for weight in (base.unet.conv_in.weight, trained)]
    assert 0 < moved[0] < moved[1], "Base follows the Refiner (Eq. 13)"
    assert 0 < (refiner.unet.conv_in.weight - start).abs().max() < moved[1]
    assert base.settings.patch_tokens and refiner.settings.patch_tokens
    assert (refiner.settings.prompt_steps, refiner.settings.prompt_scale) == (1, 1.0), "as it was trained"


def test_the_refiner_that_is_saved_is_the_average_of_its_own_weights(tmp_path):
    """Resumed, too. At a decay of a half without warm-up, half of each step's change is in it."""
    half = {"system__own_average_decay": 0.5, "system__ema_warmup": False}
    finished = launch(config(tmp_path, "train-refiner", 1, **half))
    assert finished.returncode == 0, finished.stderr
    trial = tmp_path / "outputs/train-refiner/tiny"
    resumed = launch(config(tmp_path, "train-refiner", 2, **half), f"resume={trial}")
    assert resumed.returncode == 0, resumed.stderr
    key = "unet.conv_in.weight"
    first = load_zero123(str(tmp_path / "init")).unet.conv_in.weight
    state = torch.load(trial / "ckpts/last.ckpt", weights_only=True)["state_dict"]
    after_one = load_zero123(str(trial / "save/weights/it1/refiner")).unet.conv_in.weight
    saved = load_zero123(str(trial / "save/weights/it2/refiner")).unet.conv_in.weight
    torch.testing.assert_close(saved, state[f"average.{key}"], atol=1e-3, rtol=0)
    torch.testing.assert_close(saved, (after_one + state[f"model.{key}"]) / 2, atol=1e-3, rtol=0)
    assert (after_one - first).abs().max() > 0


def test_at_a_decay_of_1_base_stays_bit_by_bit_and_what_is_validated_is_the_refiner(tmp_path):
    file = config(tmp_path, "train-refiner", 4, system__ema_decay=1.0, trainer__val_check_interval=2)
    finished = launch(file)
    assert finished.returncode == 0, finished.stderr
    trial = tmp_path / "outputs/train-refiner/tiny"
    start = load_zero123(str(tmp_path / "init")).half()
    base = load_zero123(str(trial / "save/weights/it4/base"), dtype=None)
    for name, value in start.state_dict().items():
        assert torch.equal(base.state_dict()[name], value), name
    assert len(set(curve(trial, "val/psnr_base").values())) == 1
    for name in ("val/psnr", "val/psnr_source_alone", "val/psnr_true_context"):
        assert len(set(curve(trial, name).values())) == 2, name


def test_the_last_step_s_weights_are_written_wherever_the_last_validation_was(tmp_path):
    finished = launch(config(tmp_path, "train-refiner", 3, trainer__val_check_interval=2))
    assert finished.returncode == 0, finished.stderr
    weights = tmp_path / "outputs/train-refiner/tiny/save/weights"
    assert {path.name for path in weights.iterdir()} == {"it2", "it3"}
    ends = [load_zero123(str(weights / f"it{step}/refiner")).unet.conv_in.weight for step in (2, 3)]
    assert not torch.equal(*ends)


def test_mixed_precision_trains_with_clipped_gradients(tmp_path):
    finished = launch(config(tmp_path, "train-refiner", 2, trainer__precision="bf16-mixed"))
    assert finished.returncode == 0, finished.stderr
    trial = tmp_path / "outputs/train-refiner/tiny"
    assert len(losses(trial)) == 2
    start, end = (load_zero123(str(place)) for place in (tmp_path / "init", trial / "save/weights/it2/refiner"))
    assert not torch.equal(start.unet.conv_in.weight, end.unet.conv_in.weight)


def test_the_recipe_for_published_weights_runs_on_zero123s_layout(tmp_path):
    """With its gradient checkpointing, loading processes and bf16; accumulated; a missing picture ends it in a line."""
    file = xl_config(tmp_path, 2, trainer__accumulate_grad_batches=2)
    finished = launch(file)
    assert finished.returncode == 0, finished.stderr
    trial = tmp_path / "outputs/train-refiner/xl"
    assert len(losses(trial)) == len(curve(trial, "val/psnr")) == 2
    assert set(curve(trial, "train/broken_objects").values()) == {0.0}
    assert (trial / "save/weights/it2/refiner").is_dir()
    for picture in (tmp_path / "renderings").glob("*/00*.png"):
        picture.unlink()
    broken = launch(file, "tag=broken")
    assert broken.returncode == 2 and "Traceback" not in broken.stderr
    assert "are broken, the last" in broken.stderr.splitlines()[-1]


@pytest.mark.parametrize("checkpoint", ["", "ckpts/epoch=0-step=4.ckpt"])
def test_resumed_it_goes_on_to_the_same_losses_and_weights(whole, tmp_path, checkpoint):
    """From the end of a shorter run, and from a checkpoint that was written on the way, right after a step."""
    first = launch(config(tmp_path, "train-refiner", 5))
    assert first.returncode == 0, first.stderr
    trial = tmp_path / "outputs/train-refiner/tiny"
    second = launch(config(tmp_path, "train-refiner", 8), f"resume={trial / checkpoint}")
    assert second.returncode == 0, second.stderr
    assert losses(trial) == losses(whole)
    for part in ("base", "refiner"):
        pair = [load_zero123(str(run / f"save/weights/it8/{part}")).unet for run in (trial, whole)]
        for own, expected in zip(*(model.parameters() for model in pair), strict=True):
            assert torch.equal(own, expected)


def test_killed_at_any_moment_it_goes_on_to_the_same_losses(tmp_path):
    """By SIGKILL: no handler runs, and what was logged after the last checkpoint is done again."""
    file = config(tmp_path, "train-refiner", 4000)
    command = [sys.executable, "launch.py", "--config", str(file), "--train", "--gpu", "-1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    trial = tmp_path / "outputs/train-refiner/tiny"
    _wait_for(trial / "ckpts/last.ckpt", running)
    running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    end = torch.load(trial / "ckpts/last.ckpt", weights_only=True)["global_step"] + 4
    resumed = launch(config(tmp_path, "train-refiner", end), f"resume={trial}")
    assert resumed.returncode == 0, resumed.stderr
    whole = launch(config(tmp_path, "train-refiner", end), "tag=whole")
    assert whole.returncode == 0, whole.stderr
    expected = losses(trial.parent / "whole")
    assert len(expected) == end
    # The logger writes in blocks, so that the killed run's own curve may lack what came before the kill.
    own = losses(trial)
    assert set(range(end - 4, end)) <= set(own)
    assert own == {step: expected[step] for step in own}


def test_two_processes_train_are_stopped_together_and_go_on(tmp_path):
    """Ctrl-C reaches one of them first; both finish the step, one checkpoint is written, and nobody waits forever."""
    file = config(tmp_path, "train-refiner", 400, trainer__devices=2, trainer__strategy="ddp")
    command = [sys.executable, "launch.py", "--config", str(file), "--train", "--gpu", "-1"]
    running = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    trial = tmp_path / "outputs/train-refiner/tiny"
    _wait_for(trial / "ckpts/last.ckpt", running)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    step = torch.load(trial / "ckpts/last.ckpt", weights_only=True)["global_step"]
    assert 0 < step < 400
    two = {"trainer__devices": 2, "trainer__strategy": "ddp"}
    resumed = launch(config(tmp_path, "train-refiner", step + 2, **two), f"resume={trial}")
    assert resumed.returncode == 0, resumed.stderr
    assert (trial / f"save/weights/it{step + 2}/refiner").is_dir()
    assert [path.name for path in trial.parent.iterdir()] == ["tiny"], "each process made a folder"
    alone = launch(config(tmp_path, "train-refiner", step + 4), f"resume={trial}")
    assert alone.returncode == 2
    assert "is of 2 processes, this run has 1" in alone.stderr.strip().splitlines()[-1]


def test_base_from_nothing_fits_autoencoder_and_image_encoder_and_accumulates(tmp_path):
    changes = {"system__init_weights": "", "system__encoder_steps": 2, "trainer__accumulate_grad_batches": 2}
    file = config(tmp_path, "train-base", 3, **changes)
    tiny = {
        "unet.sample_size": 4,
        "unet.in_channels": 24,
        "unet.out_channels": 12,
        "unet.block_out_channels": "[8,8]",
        "unet.norm_num_groups": 4,
        "vae.patch_size": 4,
        "vae.latent_channels": 12,
        "image_encoder.image_size": 16,
        "image_encoder.patch_size": 8,
        "settings.image_size": 16,
    }
    finished = launch(file, *(f"system.architecture.{key}={value}" for key, value in tiny.items()))
    assert finished.returncode == 0, finished.stderr
    trial = tmp_path / "outputs/train-base/tiny"
    model = load_zero123(str(trial / "save/weights/it3/base"))
    assert model.settings.patch_tokens and model.vae.mean.abs().max() > 0
    assert len(losses(trial)) == 3, "one loss a step of the optimiser"


def _wait_for(file: Path, running: subprocess.Popen) -> None:
    for _ in range(600):
        if file.exists():
            return
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.2)
    running.kill()
    raise AssertionError(f"{file} never came")


def test_what_is_looked_at_while_training_is_written(whole):
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Image.open(whole / "save/it8-val.png") as picture:
        assert picture.size == (6 * 16, 2 * 16), "two objects: target, source, Base, alone, prompts, true views"
    events = EventAccumulator(str(next(whole.glob("tb_logs/version_*")))).Reload()
    assert "val/novel_views" in events.Tags()["images"]
    shown = {"copied_source", "base", "source_alone", "true_context"}
    assert {"train/loss", "train/samples_per_second", "val/psnr", *(f"val/psnr_{name}" for name in shown)} <= set(
        events.Tags()["scalars"]
    )


def test_where_the_first_process_cannot_save_all_end_and_none_waits(tmp_path):
    taken = tmp_path / "outputs/train-base/tiny/save/weights/it1/base/notes.txt"
    taken.parent.mkdir(parents=True)
    taken.touch()
    finished = launch(config(tmp_path, "train-base", 1, trainer__devices=2, trainer__strategy="ddp"))
    assert finished.returncode == 2
    assert "not only a model is in it but notes.txt" in finished.stderr.strip().splitlines()[-1]
    assert taken.exists()
