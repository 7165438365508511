from pathlib import Path

import pytest
from cascade_zero123.zero123.weights.loading import load_zero123
from tiny_training import config

from studies.training import runs, timed
from studies.training import tiny as train_tiny
from threestudio.errors import UserError

TESTS = Path(__file__).parents[2]


def given(tmp_path, into, **changes):
    plain = {"device": "cpu", "minutes": None, "furniture": None}
    return train_tiny.argparse.Namespace(out=tmp_path / "out", into=into, **plain | changes)


def tiny_configs(tmp_path, monkeypatch):
    """Both configs cut down to a tiny model, and made-up views."""
    for key, name in (("BASE", "train-base"), ("REFINER", "train-refiner")):
        changes = {"system__encoder_steps": 0} if name == "train-base" else {}
        monkeypatch.setattr(train_tiny, key, str(config(tmp_path, name, 2, **changes)))


def test_base_and_its_refiner_are_trained_and_put_in_place_of_the_old_ones(tmp_path, monkeypatch, capfd):
    tiny_configs(tmp_path, monkeypatch)
    into = tmp_path / "load"
    (into / "base").mkdir(parents=True)
    (into / "base/old.txt").touch()
    options = given(tmp_path, into)
    train_tiny.train(options, [])
    assert sorted(path.name for path in into.iterdir()) == ["base", "refiner"]
    assert not (into / "base/old.txt").exists()
    trained = load_zero123(str(tmp_path / "out/base/base")), load_zero123(str(into / "refiner"))
    start = load_zero123(str(tmp_path / "init"))
    assert all((model.unet.conv_in.weight != start.unet.conv_in.weight).any() for model in trained)
    train_tiny.train(options, [])
    assert "refiner: done" in capfd.readouterr().out
    with pytest.raises(UserError, match="base was trained with other settings: system.learning_rate"):
        train_tiny.train(options, ["system.learning_rate=1"])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_in_one_command_and_within_minutes_there_is_a_pair(tmp_path, monkeypatch, device):
    """A GPU is pretended (pretend_accelerator.py), in its precision and with its loaders."""
    tiny_configs(tmp_path, monkeypatch)
    monkeypatch.setattr(timed, "rendered", lambda folder, clock, package: [])
    if device == "cuda":
        monkeypatch.setattr(runs, "LAUNCH", str(TESTS / "pretend_accelerator.py"))
    small = [
        "system.warmup_steps=1",
        "data.batch_size=2",
        "data.num_workers=1" if device == "cuda" else "data.num_workers=0",
    ]
    train_tiny.train(given(tmp_path, tmp_path / "load", device=device, minutes=0.1), small)
    out = tmp_path / "out"
    constant, base = (timed.load_checkpoint(out / f"runs/{name}/ckpts/last.ckpt") for name in ("base-constant", "base"))
    steps = constant["global_step"]
    assert steps >= 1 and base["global_step"] == steps + max(2, round(timed.DECAY * steps))
    assert base["config"]["trainer"].get("precision") == ("bf16-mixed" if device == "cuda" else None)
    models = [
        load_zero123(str(place)) for place in (tmp_path / "load/refiner", tmp_path / "load/base", tmp_path / "init")
    ]
    refiner, _, start = (model.unet.conv_in.weight for model in models)
    assert (refiner != start).any()


def test_as_many_views_are_rendered_as_there_is_time_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(timed, "_run", lambda *command: asked.append([str(part) for part in command]))
    generous, hurried = timed.Clock(600), timed.Clock(0)
    keys = timed.rendered(tmp_path, generous, Path("furniture.deb"))
    assert [command[0] for command in asked] == ["render_views.py"] * 2 + ["make_real_objects.py", "render_views.py"]
    assert asked[1][2] == str(timed.MOST) and asked[3][3] == str(timed.MOST_VARIANTS)
    assert keys[-1] == f"data.mixed_with=[[{tmp_path / 'real'},0.5]]"
    assert len(timed.rendered(tmp_path, hurried, None)) == 2
    assert asked[-1][2] == str(timed.FEWEST)


def test_a_part_of_a_timed_training_that_fails_ends_it_in_one_line(monkeypatch):
    monkeypatch.setattr(timed.subprocess, "run", lambda command, cwd: timed.subprocess.CompletedProcess(command, 2))
    with pytest.raises(UserError, match="render_views.py --generate 0: failed, as said above"):
        timed._run("render_views.py", "--generate", 0)
