"""The command line, on an experiment in miniature: what runs, goes on and is exported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_run import CONFIG, colors, only_error, run

import launch


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


def test_what_a_killed_run_has_left_half_written_is_removed_by_the_next(workplace):
    assert run("trainer.max_steps=4") == 0
    left = Path("outputs/toy/cat/ckpts/.last.99999999.part.ckpt")
    left.write_bytes(b"half")
    assert run("resume=outputs/toy/cat", "trainer.max_steps=8") == 0
    assert not left.exists()


@pytest.mark.parametrize("name", ["cup🎉.png", "${oc.env:HOME}.png", "n" * 240 + ".png", "a: b.png"])
def test_a_picture_of_any_name_trains_and_goes_on(workplace, capsys, name):
    Path("x.yaml").write_text(CONFIG.replace("tag: cat", "tag: ${basename:${data.image_path}}"))
    Path(name).touch()
    assert run(f"data.image_path={name}", "trainer.max_steps=4") == 0, capsys.readouterr().err
    (trial,) = Path("outputs/toy").iterdir()
    assert run(f"resume={trial}", "trainer.max_steps=8") == 0, capsys.readouterr().err
    assert run(f"resume={trial}", mode="--export") == 0, capsys.readouterr().err
    assert [path.name for path in Path("outputs/toy").iterdir()] == [trial.name]
