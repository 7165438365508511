"""The command line, on an experiment in miniature."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import launch

CONFIG = """
name: toy
tag: cat
use_timestamp: false
data_type: toy-data
data: {image_path: cat.png}
system_type: toy-system
system:
  geometry_type: toy-geometry
  material_type: toy-part
  background_type: toy-part
  renderer_type: toy-renderer
  exporter_type: toy-exporter
  optimizer: {name: Adam, args: {lr: 0.1}}
trainer: {max_steps: 12, val_check_interval: 5, num_sanity_val_steps: 0, log_every_n_steps: 1, precision: 16-mixed}
checkpoint: {save_last: true, save_top_k: -1, every_n_train_steps: 4}
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch, toy_extension):
    """A folder with a config and a picture; outputs are made in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "CUSTOM", toy_extension)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    logger = logging.getLogger("threestudio")
    before = logger.handlers, logger.propagate, logger.level
    (tmp_path / "x.yaml").write_text(CONFIG)
    (tmp_path / "cat.png").touch()
    yield tmp_path
    logger.handlers, logger.propagate, logger.level = before


def run(*arguments, mode="--train"):
    return launch.main(["--config", "x.yaml", mode, *arguments])


def colors(folder="outputs/toy/cat"):
    checkpoint = torch.load(f"{folder}/ckpts/last.ckpt", weights_only=True)
    return checkpoint["global_step"], checkpoint["state_dict"]["geometry.color"]


def only_error(capsys):
    """The one line on stderr."""
    lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 1, lines
    return lines[0]


def test_training_leaves_upstreams_folders_and_a_turntable(workplace, capsys):
    assert run() == 0
    trial = Path("outputs/toy/cat")
    made = {str(path.relative_to(trial)) for path in trial.rglob("*") if path.is_file()}
    assert {"configs/parsed.yaml", "configs/raw.yaml", "configs/cmd.txt", "ckpts/last.ckpt"} <= made
    assert {"save/it5-val.mp4", "save/it10-val.mp4", "save/it12-test.mp4", "csv_logs/version_0/metrics.csv"} <= made
    assert not [name for name in made if ".part" in name]
    said = capsys.readouterr()
    assert "no CUDA device: trainer.precision 16-mixed becomes 32-true" in said.out
    assert "Results are in outputs/toy/cat" in said.out
    assert said.err == ""


def test_the_mesh_is_exported_after_training_when_asked_for(workplace):
    assert run("export_after_train=true") == 0
    assert len(json.loads(Path("outputs/toy/cat/save/it12-export/colors.json").read_text())) == 3


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(workplace):
    for seed, tag in ((1, "a"), (1, "b"), (2, "c")):
        assert run(f"seed={seed}", f"tag={tag}") == 0
    a, b, c = (colors(f"outputs/toy/{tag}")[1] for tag in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("mode", ["--export", "--test", "--validate"])
def test_looking_at_a_result_needs_a_checkpoint(workplace, capsys, mode):
    assert run(mode=mode) == 2
    assert only_error(capsys).startswith(f"{mode} needs a checkpoint: pass resume=")


def test_a_system_without_a_mesh_has_nothing_to_export(workplace, capsys, monkeypatch):
    assert run("trainer.max_steps=4") == 0
    monkeypatch.setattr("threestudio.run.is_overridden", lambda step, system: step != "predict_step")
    capsys.readouterr()
    assert run("resume=outputs/toy/cat", mode="--export") == 2
    assert only_error(capsys) == "toy-system has nothing to export: pass --train or --validate"


def test_export_takes_the_trial_folders_last_checkpoint_any_number_of_times(workplace):
    assert run() == 0
    for _ in range(2):
        assert run("resume=outputs/toy/cat", mode="--export") == 0
    exported = json.loads(Path("outputs/toy/cat/save/it12-export/colors.json").read_text())
    assert exported == pytest.approx(colors()[1].tolist())


def test_a_run_goes_on_with_its_own_picture_unless_another_is_named(workplace, capsys):
    Path("dog.png").touch()
    assert run("data.image_path=dog.png", "trainer.max_steps=4") == 0
    Path("cat.png").unlink()
    assert run("resume=outputs/toy/cat", mode="--export") == 0
    assert run("resume=outputs/toy/cat", "trainer.max_steps=4") == 0
    capsys.readouterr()
    assert run("resume=outputs/toy/cat", "data.image_path=bird.png", mode="--export") == 2
    assert "bird.png" in only_error(capsys)


def test_test_and_validate_name_their_files_by_the_checkpoints_step(workplace):
    assert run() == 0
    shutil.rmtree("outputs/toy/cat/save")
    assert run("resume=outputs/toy/cat/ckpts/epoch=0-step=8.ckpt", mode="--test") == 0
    assert run("resume=outputs/toy/cat", mode="--validate") == 0
    assert {path.name for path in Path("outputs/toy/cat/save").iterdir()} == {"it8-test.mp4", "it12-val.mp4"}


@pytest.mark.parametrize(
    "settings, code",
    [
        (["signal_at=3", "signal_name=SIGTERM"], 143),
        (["signal_at=3", "signal_name=SIGINT"], 130),
        (["signal_at=5", "signal_in=validation"], 143),
        (["signal_at=9"], 143),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_weights_as_an_uninterrupted_one(workplace, capsys, settings, code):
    assert run("tag=whole") == 0
    capsys.readouterr()
    assert run(*(f"system.{setting}" for setting in settings)) == code
    stopped_at = colors()[0]
    assert stopped_at < 12
    last = "outputs/toy/cat/ckpts/last.ckpt"
    advice = f"go on with: python launch.py --config 'outputs/toy/cat/configs/parsed.yaml' --train resume='{last}'"
    assert advice in capsys.readouterr().err
    assert launch.main(["--config", "outputs/toy/cat/configs/parsed.yaml", "--train", f"resume={last}"]) == 0
    assert colors()[0] == 12
    assert torch.equal(colors()[1], colors("outputs/toy/whole")[1])


def test_a_run_resumed_from_an_earlier_checkpoint_repeats_the_rest(workplace):
    assert run() == 0
    whole = colors()[1]
    assert run("resume=outputs/toy/cat/ckpts/epoch=0-step=8.ckpt") == 0
    assert torch.equal(colors()[1], whole)
    assert sorted(path.name for path in Path("outputs/toy/cat/ckpts").iterdir())[-1] == "last.ckpt"


def test_a_run_interrupted_before_its_first_step_leaves_nothing(workplace, capsys):
    assert run("system.signal_at=0", "system.signal_in=start") == 143
    assert "start again with the same command" in capsys.readouterr().err
    assert not Path("outputs/toy/cat").exists()


def test_a_copied_trial_folder_is_exported_in_place_with_its_own_config(workplace):
    assert run() == 0
    shutil.copytree("outputs/toy/cat", "backup/of cat")
    copied = ["--config", "backup/of cat/configs/parsed.yaml", "--export", "resume=backup/of cat"]
    assert launch.main(copied) == 0
    assert Path("backup/of cat/save/it12-export/colors.json").is_file()
    assert not Path("outputs/toy/cat/save/it12-export").exists()
    assert launch.main([*copied, "exp_root_dir=elsewhere", "tag=second"]) == 0
    assert Path("elsewhere/toy/second/save/it12-export/colors.json").is_file()
    assert launch.main([*copied, "tag=second"]) == 0
    assert Path("outputs/toy/second/save/it12-export/colors.json").is_file()


def test_a_resumed_run_with_a_timestamp_stays_in_its_folder(workplace):
    assert run("use_timestamp=true", "trainer.max_steps=4") == 0
    (trial,) = Path("outputs/toy").iterdir()
    assert run("use_timestamp=true", f"resume={trial}") == 0
    assert [path.name for path in Path("outputs/toy").iterdir()] == [trial.name]
    assert colors(trial)[0] == 12


@pytest.mark.parametrize(
    "override, message",
    [
        ("system.geometry.size=4", "of another config: system.geometry.size is 3 there, 4 here"),
        ("system.material_type=toy-geometry", "system.material_type is toy-part there, toy-geometry here"),
    ],
)
def test_a_checkpoint_of_another_config_is_refused_by_its_first_mismatching_key(workplace, capsys, override, message):
    assert run("system.geometry.size=3") == 0
    capsys.readouterr()
    assert run("resume=outputs/toy/cat", override, mode="--export") == 2
    assert message in only_error(capsys)


def test_changed_settings_of_a_resumed_run_are_said(workplace, capsys):
    assert run("trainer.max_steps=4") == 0
    assert run("resume=outputs/toy/cat", "system.optimizer.args.lr=0.2") == 0
    assert "system.optimizer.args.lr was 0.1 until this checkpoint and is 0.2" in only_error(capsys)


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


def test_launch_runs_as_a_script():
    script = Path(launch.__file__)
    finished = subprocess.run(
        [sys.executable, str(script), "--config", "nowhere.yaml", "--train"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 2
    assert finished.stderr.strip() == "nowhere.yaml: no such config file"


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


def test_what_a_killed_run_has_left_half_written_is_removed_by_the_next(workplace):
    assert run("trainer.max_steps=4") == 0
    left = Path("outputs/toy/cat/ckpts/.last.99999999.part.ckpt")
    left.write_bytes(b"half")
    assert run("resume=outputs/toy/cat", "trainer.max_steps=8") == 0
    assert not left.exists()


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


@pytest.mark.parametrize("name", ["cup🎉.png", "${oc.env:HOME}.png", "n" * 240 + ".png", "a: b.png"])
def test_a_picture_of_any_name_trains_and_goes_on(workplace, capsys, name):
    Path("x.yaml").write_text(CONFIG.replace("tag: cat", "tag: ${basename:${data.image_path}}"))
    Path(name).touch()
    assert run(f"data.image_path={name}", "trainer.max_steps=4") == 0, capsys.readouterr().err
    (trial,) = Path("outputs/toy").iterdir()
    assert run(f"resume={trial}", "trainer.max_steps=8") == 0, capsys.readouterr().err
    assert run(f"resume={trial}", mode="--export") == 0, capsys.readouterr().err
    assert [path.name for path in Path("outputs/toy").iterdir()] == [trial.name]
