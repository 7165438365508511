import pytest
import torch
from cascade_zero123.cascade.stages import Sampling, Stage
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training.prompts import ExamplePool, PromptsConfig, prompt_cameras, with_prompts
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.pose import pose_token
from tiny_zero123 import SIZE, tiny_model

from threestudio.utils.config import parse_structured

SETTINGS = PromptsConfig(steps=1, scale=1.0, pool=8, refresh_steps=16, targets=2)


def examples(count: int, first: int = 0) -> Views:
    """Sources and two targets; each picture is one grey level, 10 * object + column."""
    level = 10 * (first + torch.arange(count))[:, None] + torch.arange(3)
    images = (level / 255.0)[:, :, None, None, None].expand(-1, -1, 3, SIZE, SIZE)
    azimuth = torch.tensor([0.0, 70.0, 200.0]).expand(count, -1)
    return Views(images, Cameras(torch.full((count, 3), 10.0), azimuth, torch.full((count, 3), 3.8)))


def filled(cfg: PromptsConfig = SETTINGS) -> ExamplePool:
    pool = ExamplePool(cfg)
    pool.put(with_prompts(tiny_model(), examples(8), cfg, draw_generator(0, "test", 0)))
    return pool


def test_base_imagines_each_prompt_view_and_each_target():
    cfg = PromptsConfig(steps=1, scale=1.0, targets=2)
    given = examples(3)
    done = with_prompts(tiny_model(), given, cfg, draw_generator(0, "test", 0))
    assert done.pictures.shape == (3, 3 + 3 + 2, 3, SIZE, SIZE)
    assert torch.equal(done.pictures[:, :3], given.pictures)
    assert done.cameras.azimuth_deg[0].tolist() == [0, 70, 200, 45, -45, 0, 70, 200]
    assert done.cameras.elevation_deg[0].tolist() == [10, 10, 10, 10, 10, 40, 10, 10]


def test_what_base_is_shown_is_the_source_and_the_way_from_it():
    """The same as sampling the view by the stage that inference uses."""
    model, cfg = tiny_model(), PromptsConfig(steps=2, scale=1.0, views_deg=[[45, 0]], coarse_target=False)
    given = examples(1)[:, :2]
    done = with_prompts(model, given, cfg, torch.Generator().manual_seed(5))
    source, stage = given[0, :1], Stage([(45.0, 0.0)], Sampling(2, 1.0, 5))
    expected = stage(model, source, source.cameras.beside(stage.offsets_deg)).pictures
    assert torch.allclose(done.pictures[0, 2:], expected, atol=0.51 / 255)


def test_a_batch_shows_the_source_the_target_and_what_is_kept():
    pool = filled()
    batch = pool.draw(64, [1, 3], draw_generator(0, "test", 1))
    assert batch.shape == (64, 4)
    level = (batch.pictures[:, :2, 0, 0, 0] * 255).round()
    assert set((level[:, 1] - level[:, 0]).tolist()) == {1.0, 2.0}
    assert torch.all(batch.cameras.azimuth_deg[:, 2] == -45)
    zero_transition = torch.tensor([0.0, 0.0, 1.0, 0.0])
    assert torch.allclose(
        pose_token(batch.cameras[:, 1], batch.cameras[:, 3]), zero_transition.expand(64, 4), atol=1e-6
    )


def test_the_coarse_target_shown_is_that_of_the_target():
    pool = filled()
    batch = pool.draw(64, [3], draw_generator(0, "test", 2))
    level = (batch.pictures[:, :2, 0, 0, 0] * 255).round().long()
    examples_drawn, targets = level[:, 0] // 10, level[:, 1] - level[:, 0] - 1
    coarse = pool.images[examples_drawn, 6 + targets].float() / 255
    assert torch.equal(batch.pictures[:, 2], coarse)


def test_a_pool_is_filled_a_batch_at_a_time_and_then_sampled_anew_in_refresh_steps():
    cfg = PromptsConfig(pool=32, refresh_steps=100)
    assert [cfg.due(step, 10) for step in range(4)] == [10, 10, 10, 2]
    assert sum(cfg.due(step, 4) for step in range(700, 800)) == 32
    assert max(cfg.due(step, 4) for step in range(700, 800)) <= 8


@pytest.mark.parametrize("batch", [4, 12, 16])
def test_a_pool_of_one_batch_refreshed_each_step_samples_everything_on_the_fly(batch):
    cfg = PromptsConfig(pool=batch, refresh_steps=1)
    assert [cfg.due(step, batch) for step in range(6)] == [batch] * 6


def test_a_batch_as_large_as_the_pool_shows_each_example_once():
    batch = filled().draw(8, [], draw_generator(0, "test", 1))
    objects = (batch.pictures[:, 0, 0, 0, 0] * 255).round().long() // 10
    assert sorted(objects.tolist()) == list(range(8))


def test_the_oldest_examples_go_first():
    pool = filled()
    done = with_prompts(tiny_model(), examples(3, first=20), SETTINGS, draw_generator(0, "test", 3))
    pool.put(done)
    assert (pool.images[:, 0, 0, 0, 0] // 10).tolist() == [20, 21, 22, 3, 4, 5, 6, 7]
    pool.put(done)
    assert (pool.images[:, 0, 0, 0, 0] // 10).tolist() == [20, 21, 22, 20, 21, 22, 6, 7]


def test_a_pool_goes_on_from_its_state():
    pool, other = filled(), ExamplePool(SETTINGS)
    other.load(pool.state())
    for own in (pool, other):
        own.put(with_prompts(tiny_model(), examples(2, first=20), SETTINGS, draw_generator(0, "test", 4)))
    drawn = [own.draw(16, [0, 1], draw_generator(0, "test", 5)) for own in (pool, other)]
    assert torch.equal(drawn[0].pictures, drawn[1].pictures)
    assert torch.equal(drawn[0].cameras.as_tensor(), drawn[1].cameras.as_tensor())


def test_every_subset_of_the_context_occurs():
    cfg = PromptsConfig(dropout=0.3)
    drawn = {tuple(cfg.draw_kept(draw_generator(0, "kept", step))) for step in range(500)}
    assert len(drawn) == 2**4


def test_random_prompts_differ_from_source_to_source_and_stay_above_the_ground():
    cfg = PromptsConfig(random_views=3)
    source = Cameras.one(10.0, 0.0, 3.8).repeated(200).reshape(200, 1)
    poses = prompt_cameras(source, cfg, draw_generator(0, "test", 6))
    assert poses.azimuth_deg.shape == (200, 3)
    assert poses.elevation_deg.min() >= -10 and poses.elevation_deg.max() <= 60
    assert poses.azimuth_deg.std() > 90


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"targets": 0}, {"pool": 0}, {"views_deg": [45, 0]}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        parse_structured(PromptsConfig, wrong)
