import pytest
import torch
from cascade_zero123.guidance import CascadeZero123Guidance
from cascade_zero123.zero123 import reuse as kept
from tiny_zero123 import save_tiny_cascade, tiny_model


@pytest.fixture
def nothing_kept(monkeypatch):
    monkeypatch.setattr(kept, "_kept", None)


def guidance(folder):
    weights = {part: {"weights": str(folder / part)} for part in ("base", "refiner")}
    return CascadeZero123Guidance({**weights, "cache_dir": None, "prompt_steps": 1})


def test_a_single_run_keeps_no_model(nothing_kept, tmp_path):
    folder = save_tiny_cascade(tmp_path)
    assert guidance(folder).refiner is not guidance(folder).refiner
    assert kept.kept_model(str(folder / "refiner")) is None


def test_a_batch_loads_a_model_once_whichever_picture_asks(nothing_kept, tmp_path):
    folder = save_tiny_cascade(tmp_path)
    kept.keep_models()
    first = guidance(folder)
    kept.keep_models()
    second = guidance(folder)
    assert second.refiner is first.refiner is kept.kept_model(str(folder / "refiner"))
    assert second.models.load(0) is first.models.load(0) is not first.refiner


def test_a_kept_model_gives_what_a_fresh_one_gives(nothing_kept, tmp_path):
    folder = save_tiny_cascade(tmp_path)
    cameras = torch.tensor([20.0, 0.0]), torch.tensor([30.0, 90.0]), torch.tensor([3.8, 3.8])
    picture = torch.rand(16, 16, 4, generator=torch.Generator().manual_seed(0))

    def views():
        one = guidance(folder)
        one.set_source(picture)
        return one.one_step_views(*cameras)

    fresh = views()
    kept.keep_models()
    assert torch.equal(views(), fresh)
    assert torch.equal(views(), fresh)


def test_models_of_another_precision_are_kept_apart(nothing_kept):
    kept.keep_models()
    single, half = tiny_model(seed=0), tiny_model(seed=1)
    assert kept.kept(lambda: single, "a", "cpu", False) is single
    assert kept.kept(lambda: half, "a", "cpu", True) is half
    assert kept.kept(tiny_model, "a", "cpu", False) is single
