import gc
import weakref

import pytest
import torch
from cascade_zero123.cascade.context import Cascade
from cascade_zero123.cascade.prompt_views import Sampling
from cascade_zero123.cascade.source import as_model_sees
from cascade_zero123.errors import UserError
from cascade_zero123.novel_view import (
    Prompting,
    TargetSampling,
    base_stage,
    novel_views,
    sample_targets,
    target_poses,
    view_noise,
)
from cascade_zero123.zero123.pose import Pose
from tiny_zero123 import SIZE, ball_picture, tiny_model

SOURCE = Pose(torch.tensor([10.0]), torch.tensor([0.0]), torch.tensor([3.8]))
TARGETS = target_poses([(90, 10), (180, 40), (-60, 0)], [], [], 3.8)
PROMPTING = Prompting(((45.0, 0.0), (0.0, 30.0)), Sampling(steps=2, scale=1.5, seed=0))
BASELINE = Prompting(())
BASE, REFINER = tiny_model(seed=0), tiny_model(seed=1)


def views(base=BASE, refiner=REFINER, prompting=PROMPTING, coarse_target=True, targets=TARGETS, **sampling):
    settings = TargetSampling(**{"steps": 3, "scale": 1.5, "seed": 4, "chunk": 8, **sampling})
    return novel_views(base, refiner, ball_picture(), SOURCE, targets, settings, prompting, coarse_target)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("chunk", [1, 2])
def test_views_do_not_depend_on_the_chunks_in_which_they_are_made(chunk, eta):
    whole, parts = views(eta=eta), views(eta=eta, chunk=chunk)
    torch.testing.assert_close(parts.base.coarse, whole.base.coarse, atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.images, whole.images, atol=1e-5, rtol=0)
    assert (whole.images - whole.base.coarse).abs().max() > 1e-3


def test_the_baseline_is_base_alone():
    baseline = views(refiner=BASE, prompting=BASELINE, coarse_target=False)
    assert baseline.base.coarse is None and len(baseline.base.prompts.images) == 0
    source = as_model_sees(ball_picture(), SIZE, 3)
    sampling = TargetSampling(steps=3, scale=1.5, seed=4)
    torch.testing.assert_close(
        baseline.images, sample_targets(BASE, Cascade.of(BASE, source, SOURCE), TARGETS, sampling)
    )


def test_a_coarse_target_is_sampled_as_the_prompts_are_and_not_as_the_views():
    coarse = views().base.coarse
    for other in ({"steps": 5}, {"scale": 4.0}, {"eta": 1.0}):
        assert torch.equal(views(**other).base.coarse, coarse)
    fewer = Prompting(PROMPTING.offsets_deg, Sampling(steps=1, scale=1.5, seed=0))
    assert not torch.equal(views(prompting=fewer).base.coarse, coarse)
    like_it = views(refiner=BASE, prompting=BASELINE, coarse_target=False, steps=2)
    assert (like_it.images - coarse).abs().max() > 0.01, "its noise is that of the view"
    assert torch.equal(coarse, (coarse * 255).round() / 255)


def test_a_view_s_noise_depends_on_its_place_and_the_seed_alone():
    one = views(targets=Pose(*(value[:1] for value in TARGETS)))
    torch.testing.assert_close(one.images, views().images[:1], atol=1e-5, rtol=0)
    assert (views(seed=5).images - views().images).abs().max() > 1e-3


def test_eta_adds_noise_of_its_own_in_every_step():
    assert (views(eta=1.0).images - views().images).abs().max() > 1e-3
    draws = torch.stack([view_noise(BASE, 0, [0], step, torch.device("cpu")) for step in range(4)]).flatten(1)
    off_diagonal = torch.corrcoef(draws) - torch.eye(4)
    assert off_diagonal.abs().max() < 0.5


def test_the_refiner_is_shown_source_prompts_and_coarse_target_each_with_its_pose(monkeypatch):
    seen = []
    predict = REFINER.predict

    def spy(noisy, timestep, context):
        seen.append(context)
        return predict(noisy, timestep, context)

    monkeypatch.setattr(REFINER, "predict", spy)
    made = views(scale=1.0, steps=1, targets=Pose(*(value[:1] for value in TARGETS)))
    context = seen[0]
    source = as_model_sees(ball_picture(), SIZE, 3)
    shown = torch.cat([source, made.base.prompts.images, made.base.coarse])
    polar, azimuth = torch.deg2rad(torch.tensor([80.0, 80.0, 50.0, 80.0])), torch.tensor([0.0, 45.0, 0.0, 90.0])
    turn = torch.deg2rad(90.0 - azimuth)
    poses = torch.stack([polar[3] - polar, turn.sin(), turn.cos(), torch.zeros(4)], dim=1)  # Eq. 14; the target last
    tokens = torch.cat([REFINER.image_embedding(shown)[:, 0], poses], dim=1)
    expected = tokens @ REFINER.cc_projection.weight.T + REFINER.cc_projection.bias
    torch.testing.assert_close(context.tokens[0], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(context.concat, REFINER.source_latents(source))


def test_base_is_loaded_once_and_gone_from_memory_after_its_stage():
    bases = []

    def load_base():
        base = tiny_model(seed=0)
        bases.append(weakref.ref(base))
        return base

    source = as_model_sees(ball_picture(), SIZE, 3)
    settings = TargetSampling(steps=1, scale=1.0, seed=0)
    seen = base_stage(load_base, source, SOURCE, TARGETS, settings, PROMPTING)
    gc.collect()
    assert [base() for base in bases] == [None]
    assert len(seen.coarse) == 3 and len(seen.prompts.images) == 2


def test_base_is_not_loaded_where_it_has_nothing_to_sample():
    source = as_model_sees(ball_picture(), SIZE, 3)
    settings = TargetSampling(steps=1, scale=1.0, seed=0)
    seen = base_stage(lambda: pytest.fail("loaded"), source, SOURCE, TARGETS, settings, BASELINE, coarse_target=False)
    assert seen.coarse is None


def test_rings_follow_the_single_poses_one_for_each_elevation():
    poses = target_poses([(5, 6), (7, 8, 2.5)], [0, 90], [10, 30], 3.8)
    assert poses.azimuth_deg.tolist() == [5, 7, 0, 90, 0, 90]
    assert poses.elevation_deg.tolist() == [6, 8, 10, 10, 30, 30]
    assert poses.distance.tolist() == pytest.approx([3.8, 2.5, 3.8, 3.8, 3.8, 3.8])


@pytest.mark.parametrize(
    "poses, azimuths, elevations, message",
    [
        ([], [], [10], "no target view: give poses, or azimuths and elevations"),
        ([[1]], [], [], "not a list of [azimuth_deg, elevation_deg]"),
        (["left"], [], [], "not a list of [azimuth_deg, elevation_deg]"),
        ([], [0], [95], "elevation 95 deg; keep elevations within -90..90"),
    ],
)
def test_impossible_targets_are_refused_in_one_line(poses, azimuths, elevations, message):
    with pytest.raises(UserError) as caught:
        target_poses(poses, azimuths, elevations, 3.8)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"chunk": 0}, {"eta": 1.5}])
def test_impossible_sampling_is_refused(wrong):
    with pytest.raises(UserError, match="expected steps and chunk"):
        views(**wrong)


def test_a_base_and_a_refiner_of_different_sizes_are_refused():
    other = tiny_model(seed=1)
    other.settings.image_size = 32
    with pytest.raises(UserError, match="16 px views and the Refiner 32 px"):
        views(refiner=other)
