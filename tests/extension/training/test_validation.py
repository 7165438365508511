import pytest
import torch
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training.prompts import PromptsConfig
from cascade_zero123.training.validation import base_views, refiner_views
from cascade_zero123.views import Cameras, Views
from tiny_zero123 import SIZE, tiny_model

CFG = PromptsConfig(steps=1, scale=1.0)


@pytest.fixture
def batch():
    """Source, target and three true views of two objects."""
    generator = draw_generator(0, "test", 0)
    cameras = Cameras.from_tensor(30 * torch.rand(3, 2, 5, generator=generator))
    return Views(torch.rand(2, 5, 3, SIZE, SIZE, generator=generator), cameras)


def shown(refiner, base, batch):
    return refiner_views(refiner, base, batch, CFG, draw_generator(0, "validation", 0))


def test_a_refiner_is_seen_with_the_source_alone_with_base_s_views_and_with_true_ones(batch):
    base, refiner = tiny_model(seed=0), tiny_model(seed=1)
    views = shown(refiner, base, batch)
    assert list(views) == ["copied_source", "base", "source_alone", "prompts", "true_context"]
    assert torch.equal(views["base"], base_views(base, batch)["source_alone"])
    alone = views["source_alone"]
    assert all(not torch.equal(alone, views[name]) for name in ("base", "prompts", "true_context"))


def test_another_base_changes_only_what_it_imagines(batch):
    refiner = tiny_model(seed=1)
    one, other = (shown(refiner, tiny_model(seed=seed), batch) for seed in (0, 2))
    assert {name for name in one if not torch.equal(one[name], other[name])} == {"base", "prompts"}
