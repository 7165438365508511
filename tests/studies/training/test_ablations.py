import subprocess
import sys

import pytest
from cascade_zero123.zero123.weights.loading import save_zero123
from tiny_training import ROOT, config
from tiny_zero123 import tiny_model

from studies.training import ablations, runs
from threestudio.errors import UserError


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
    ours = loaded("ours", tmp_path, tmp_path)
    for key in ("max_context", "context_probability", "augment", "batch_size"):
        assert control.data[key] == ours.data[key], "only the prompts differ"
    assert control.system.get("max_snr_weight") == ours.system.get("max_snr_weight")
    assert control.data.target_shown_probability == 0
    assert (control.system.encoder_steps, control.system.ema_decay) == (0, 0), "what is kept is what was trained"


def test_the_rows_of_the_paper_follow_equation_13_as_it_stands(tmp_path):
    for row in ("nearby", "random", "larger", "more", "without-coarse-target"):
        cfg = loaded(row, tmp_path, tmp_path)
        assert (cfg.system.ema_decay, cfg.system.ema_warmup, cfg.data.context_probability) == (0.999, False, 0)


def test_asked_to_stop_a_training_is_asked_to_and_waited_for(tmp_path):
    """By SIGTERM, which only the script gets; the training finishes its step and says so by its exit code."""
    training = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print('on', flush=True)"
    )
    script = "import sys; from studies.training.runs import code_of; sys.exit(code_of(sys.argv[1:]))"
    command = [sys.executable, "-c", script, sys.executable, "-c", f"{training}; time.sleep(60)"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "on\n"
    running.terminate()
    assert running.wait(timeout=30) == 143


def test_a_row_is_trained_once_and_leaves_both_models(tmp_path, monkeypatch, capfd):
    tiny = config(tmp_path, "train-refiner", 2)
    monkeypatch.setitem(ablations.ROWS, "nearby", (str(tiny), []))
    options = ablations.argparse.Namespace(base=tmp_path / "init", out=tmp_path / "out", only=["nearby"])
    ablations.train(options, ["system.prompts.steps=1"])
    assert {path.name for path in (tmp_path / "out/nearby").iterdir()} == {"base", "refiner"}
    monkeypatch.setattr(runs, "code_of", lambda command: pytest.fail("trained again"))
    ablations.train(options, ["system.prompts.steps=1"])
    assert "nearby: done" in capfd.readouterr().out
    with pytest.raises(UserError, match=r"nearby.json: .*: system.prompts.steps 1, not 2; choose"):
        ablations.train(options, ["system.prompts.steps=2"])


@pytest.mark.parametrize("trained", ["nearby", "runs/nearby/ckpts/last.ckpt"])
def test_a_row_done_or_interrupted_goes_on_with_its_own_settings_only(trained, tmp_path):
    for name in ("base", "other"):
        save_zero123(tiny_model(), tmp_path / name)

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
    save_zero123(tiny_model(seed=1), tmp_path / "base")
    with pytest.raises(UserError, match="other settings: init_weights"):
        keep("trainer.max_steps=8")
    (tmp_path / "nearby.json").unlink()
    with pytest.raises(UserError, match="nearby.json: missing, so nobody knows how nearby was trained"):
        keep("trainer.max_steps=8")


def test_a_base_that_is_none_is_refused(tmp_path):
    options = ablations.argparse.Namespace(base=tmp_path, out=tmp_path / "out", only=None)
    with pytest.raises(UserError, match="no unet/ in it"):
        ablations.train(options, [])
