import pytest
from cascade_zero123.zero123.weights import load_zero123
from script_loading import load_script
from tiny_training import config

train_tiny = load_script("train_tiny")


def test_base_and_its_refiner_are_trained_and_put_in_place_of_the_old_ones(tmp_path, monkeypatch, capfd):
    for name in ("train-base", "train-refiner"):
        changes = {"system__encoder_steps": 0} if name == "train-base" else {}
        key = "BASE" if name == "train-base" else "REFINER"
        monkeypatch.setattr(train_tiny, key, str(config(tmp_path, name, 2, **changes)))
    into = tmp_path / "load"
    (into / "base").mkdir(parents=True)
    (into / "base/old.txt").touch()
    options = train_tiny.argparse.Namespace(out=tmp_path / "out", into=into)
    train_tiny.main(options, [])
    assert sorted(path.name for path in into.iterdir()) == ["base", "refiner"]
    assert not (into / "base/old.txt").exists()
    trained = load_zero123(str(tmp_path / "out/base/base")), load_zero123(str(into / "refiner"))
    start = load_zero123(str(tmp_path / "init"))
    assert all((model.unet.conv_in.weight != start.unet.conv_in.weight).any() for model in trained)
    train_tiny.main(options, [])
    assert "refiner: done" in capfd.readouterr().out
    with pytest.raises(train_tiny.HostError, match="base was trained with other settings: system.learning_rate"):
        train_tiny.main(options, ["system.learning_rate=1"])
