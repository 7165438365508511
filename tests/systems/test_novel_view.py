"""Novel views at the command line, with a tiny model."""

import json
import logging
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image
from tiny_zero123 import SIZE, ball_picture, save_tiny_cascade

import launch

ROOT = Path(__file__).parents[2]
NAMES = {"novel-view.yaml": "novel-view", "novel-view-zero123.yaml": "novel-view-zero123"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a config of the project on a ball, in a folder of its own; returns the exit code and the save folder."""
    save_tiny_cascade(tmp_path)
    Image.fromarray((ball_picture() * 255).byte().numpy()).save(tmp_path / "ball.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    logger = logging.getLogger("threestudio")
    before = logger.handlers, logger.propagate, logger.level

    def run(*overrides, config="novel-view.yaml", mode="--test"):
        settings = ["data.image_path=ball.png", "use_timestamp=false", "system.base.weights=base"]
        settings += ["data.default_elevation_deg=10"]
        settings += ["system.steps=2", "system.prompt_steps=1", "system.azimuths=[0,90,180]"]
        if config == "novel-view.yaml":
            settings += ["system.refiner.weights=refiner"]
        code = launch.main(["--config", str(ROOT / "configs" / config), mode, *settings, *overrides])
        return code, tmp_path / "outputs" / NAMES[config] / "ball.png" / "save"

    yield run
    logger.handlers, logger.propagate, logger.level = before


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_each_view_is_a_picture_with_its_camera_and_all_are_on_one_sheet_and_in_a_video(run):
    code, save = run("system.poses=[[45,20,3.0]]")
    assert code == 0
    cameras = json.loads((save / "cameras.json").read_text())
    assert [camera["azimuth_deg"] for camera in cameras["views"]] == [45, 0, 90, 180]
    assert cameras["views"][0] == {
        "file": "views/000.png",
        "elevation_deg": 20.0,
        "azimuth_deg": 45.0,
        "distance": 3.0,
    }
    assert cameras["fovy_deg"] == 20 and cameras["source"]["elevation_deg"] == 10
    assert [camera["azimuth_deg"] for camera in cameras["prompt_views"]] == [45, -45, 0]
    for camera in cameras["views"]:
        assert pixels(save / camera["file"]).shape == (SIZE, SIZE, 3)
        assert (save / camera["file"].replace("views", "coarse")).is_file()
    assert len(list((save / "prompt-views").glob("*.png"))) == 3
    sheet = pixels(save / "grid.png")
    assert sheet.shape == (3 * 180, 4 * 160, 3)
    source_cell = sheet[20:180, :160]
    assert source_cell[80, 80].tolist() == pytest.approx([230, 128, 26], abs=6)  # the ball
    assert (sheet[4:16, :160] < 100).any(), "no caption"
    assert imageio.get_reader(save / "turntable.mp4").count_frames() == 4
    assert not [path for path in save.rglob(".*")], "something is half written"


def test_the_baseline_makes_no_coarse_views_and_other_ones_than_the_cascade(run):
    _, cascade = run()
    code, baseline = run(config="novel-view-zero123.yaml")
    assert code == 0 and not (baseline / "coarse").exists()
    for index in range(3):
        view = pixels(baseline / f"views/{index:03d}.png").astype(int)
        for other in ("coarse", "views"):
            assert np.abs(view - pixels(cascade / f"{other}/{index:03d}.png")).max() > 1


def test_a_second_run_takes_the_prompt_views_from_the_cache(run, capsys):
    run()
    entries = list(Path("outputs/.cache/prompt-views").glob("*.safetensors"))
    assert len(entries) == 1
    written = entries[0].stat().st_mtime_ns
    assert run("tag=again")[0] == 0
    assert entries[0].stat().st_mtime_ns == written
    assert "nothing sampled" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, mode, message",
    [
        ([], "--train", "novel-view-system trains nothing: pass --test, without resume="),
        (["resume=somewhere"], "--test", "novel-view-system trains nothing: pass --test, without resume="),
        (["system.azimuths=[]"], "--test", "no target view: give poses, or azimuths and elevations"),
        (["system.steps=0"], "--test", "system.steps: 0 is not within 1 and 1000 of DDIM"),
        (["system.base.weights=''", "system.cascade=[]"], "--test", "system.base.weights must be given"),
        (["system.base.wieghts=base"], "--test", "system.base.wieghts: unknown key; known are weights"),
        (["system.prompt_views=[[1]]"], "--test", "system.prompt_views: [[1]] is not a list of [azimuth_deg"),
        (["system.prompt_views=[[0,85]]"], "--test", "elevation 95"),
    ],
)
def test_what_the_user_can_mend_ends_in_one_line_and_leaves_nothing(run, capsys, arguments, mode, message):
    code, save = run(*arguments, mode=mode)
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and message in lines[-1]
    assert not save.parent.exists()
