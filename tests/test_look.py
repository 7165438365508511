"""What would be done with a picture, said in two seconds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

import launch
import threestudio
from threestudio.cost import cost_of, scaled
from threestudio.look import look_at, messages

ROOT = Path(__file__).parents[1]
HEAVY = ("pytorch_lightning", "diffusers", "transformers", "gradio", "fastapi", "torchmetrics", "nerfacc")


def test_check_says_what_would_be_done_and_writes_the_prepared_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert launch.main(["--check", "data.image_path=load/images/cat.png", f"exp_root_dir={tmp_path}"]) == 0
    said = capsys.readouterr().out
    for line in (
        "picture     load/images/cat.png, 512 x 512 pixels",
        "elevation   ",
        "would run   cascade-zero123, 520",
    ):
        assert line in said
    assert "by its looks" in said and "would cost  about" in said
    with Image.open(tmp_path / "check" / "cat.png") as prepared:
        assert prepared.mode == "RGBA" and prepared.width == prepared.height


def test_check_tells_what_is_wrong_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert launch.main(["--check", "data.image_path=none.png"]) == 2
    assert capsys.readouterr().err == "none.png: not found; check data.image_path\n"


def test_check_imports_nothing_of_the_models():
    code = f"import sys, threestudio.look; sys.exit(any(name in sys.modules for name in {HEAVY}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_help_shows_the_settings_that_people_change(capsys):
    with pytest.raises(SystemExit) as ended:
        launch.main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "what to do (one of)" in said and "with what" in said
    settings = said.split("settings that people change")[1].split("\n")[1:]
    assert sum("=" in line for line in settings) == 10


def test_the_settings_of_the_help_are_ones_that_a_run_takes(tmp_path):
    from threestudio.web.jobs import JobStore
    from threestudio.web.runs import Runs

    given = [line.split()[0] for line in launch.SETTINGS.split("\n")[1:] if line.strip()]
    Runs(JobStore(tmp_path)).checked("cascade-zero123", [one for one in given if "image_path" not in one])


def test_a_photograph_is_told_about_in_plain_words(tmp_path):
    rgb = np.full((80, 80, 3), 245, np.uint8)
    rgb[20:60, 20:60] = (200, 60, 30)
    Image.fromarray(rgb).save(tmp_path / "box.png")
    look = look_at(tmp_path / "box.png", {})
    assert look.size == (80, 80)
    assert any(note.startswith("has no transparency; its plain background was cut out") for note in look.notes)


def test_an_object_at_the_edge_and_a_white_one_are_named(tmp_path):
    rgba = np.full((80, 80, 4), 255, np.uint8)
    rgba[:, 40:, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "white.png")
    notes = " / ".join(look_at(tmp_path / "white.png", {}).notes)
    assert "touches the picture's edge" in notes and "is nearly white" in notes


def test_messages_are_kept_and_the_console_is_put_back():
    before = list(threestudio.logger.handlers), threestudio.logger.level
    with messages() as said:
        threestudio.warn("a word")
    assert said == ["a word"] and (list(threestudio.logger.handlers), threestudio.logger.level) == before


def test_the_cost_is_that_of_earlier_runs_where_there_are_some(tmp_path):
    cfg = OmegaConf.create(
        {
            "name": "cascade-zero123",
            "trainer": {"max_steps": 260},
            "system": {"guidance": {"base": {"weights": "load/cascade-zero123-tiny/base"}}},
        }
    )
    guessed = cost_of(cfg, tmp_path)
    assert guessed.seconds > 1 and not guessed.measured and "guessed" in str(guessed)
    (tmp_path / "jobs" / "a").mkdir(parents=True)
    kept = '{"config": "cascade-zero123", "state": "done", "steps": 520, "seconds": 100.0, "created": 1.0}'
    (tmp_path / "jobs" / "a" / "job.json").write_text(kept)
    assert cost_of(cfg, tmp_path).seconds == pytest.approx(scaled(100.0, 520, 260))
    cfg.system.guidance.base.weights = "load/zero123/xl.ckpt"
    cfg.name = "xl"
    assert str(cost_of(cfg, tmp_path)).startswith("not known before one has run here")
