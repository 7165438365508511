import pytest
from script_loading import load_script
from tiny_training import ROOT, config

from threestudio.errors import UserError

ablations = load_script("train_ablations")
from training import runs  # noqa: E402


def loaded(row, base, out, overrides=()):
    from threestudio.utils.config import load_config

    command = ablations.run_of(row, base, list(overrides)).command(out)
    return load_config(str(ROOT / command[3]), cli_args=[key for key in command[4:] if "=" in key], n_gpus=1)


@pytest.mark.parametrize("row", ablations.ROWS)
def test_every_row_is_a_config_that_loads(row, tmp_path):
    cfg = loaded(row, tmp_path / "base", tmp_path, ["trainer.max_steps=7"])
    assert cfg.trainer.max_steps == 7
    assert cfg.trial_dir == str(tmp_path / "runs" / row)
    assert bool(cfg.system.get("refiner")) == (row != "longer-base")


def test_the_control_is_trained_on_for_as_many_steps_at_the_same_rate(tmp_path):
    control, refiner = loaded("longer-base", tmp_path, tmp_path), loaded("nearby", tmp_path, tmp_path)
    assert control.trainer.max_steps == refiner.trainer.max_steps
    for key in ("learning_rate", "warmup_steps", "constant_steps", "decay_steps", "init_weights", "seed"):
        assert control.system[key] == refiner.system[key]
    assert control.system.encoder_steps == 0


def test_a_row_is_trained_once_and_leaves_both_models(tmp_path, monkeypatch, capfd):
    tiny = config(tmp_path, "train-refiner", 2)
    monkeypatch.setitem(ablations.ROWS, "nearby", (str(tiny), []))
    options = ablations.argparse.Namespace(base=tmp_path / "init", out=tmp_path / "out", only=["nearby"])
    ablations.main(options, ["system.prompts.steps=1"])
    assert {path.name for path in (tmp_path / "out/nearby").iterdir()} == {"base", "refiner"}
    monkeypatch.setattr(runs.subprocess, "run", lambda *args, **kwargs: pytest.fail("trained again"))
    ablations.main(options, ["system.prompts.steps=1"])
    assert "nearby: done" in capfd.readouterr().out
    with pytest.raises(UserError, match=r"nearby.json: .*: system.prompts.steps 1, not 2; choose"):
        ablations.main(options, ["system.prompts.steps=2"])


@pytest.mark.parametrize("trained", ["nearby", "runs/nearby/ckpts/last.ckpt"])
def test_a_row_done_or_interrupted_goes_on_with_its_own_settings_only(trained, tmp_path):
    def keep(*overrides, base="base"):
        runs.keep_settings(ablations.run_of("nearby", tmp_path / base, list(overrides)), tmp_path)

    keep("trainer.max_steps=7")
    keep("trainer.max_steps=8")  # nothing has been trained yet
    (tmp_path / trained).mkdir(parents=True)
    keep("trainer.max_steps=8")
    with pytest.raises(UserError, match="trainer.max_steps 8, not 7; choose another --out"):
        keep("trainer.max_steps=7")
    with pytest.raises(UserError, match="other settings: system.init_weights"):
        keep("trainer.max_steps=8", base="other")
    (tmp_path / "nearby.json").unlink()
    with pytest.raises(UserError, match="nearby.json: missing, so nobody knows how nearby was trained"):
        keep("trainer.max_steps=8")


def test_a_base_that_is_none_is_refused(tmp_path):
    options = ablations.argparse.Namespace(base=tmp_path, out=tmp_path / "out", only=None)
    with pytest.raises(UserError, match="no unet/ in it"):
        ablations.main(options, [])
