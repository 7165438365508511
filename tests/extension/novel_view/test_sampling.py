import gc
import weakref

import pytest
import torch
from cascade_zero123.cascade.context import EncodedViews
from cascade_zero123.cascade.models import LoadedModels
from cascade_zero123.cascade.source import view_for
from cascade_zero123.cascade.stages import Cascade, Sampling, Stage
from cascade_zero123.common.errors import UserError
from cascade_zero123.novel_view.sampling import (
    TargetSampling,
    imagine,
    novel_views,
    sample_targets,
    target_poses,
    view_noise,
)
from cascade_zero123.views import Cameras
from tiny_zero123 import ball_picture, tiny_model

TARGETS = target_poses([(90, 10), (180, 40), (-60, 0)], [], [], 3.8)
PROMPTS = Stage(((45.0, 0.0), (0.0, 30.0)), Sampling(steps=2, scale=1.5, seed=0))
NO_PROMPTS = Stage(())
BASE, REFINER = tiny_model(seed=0), tiny_model(seed=1)
GIVEN = view_for(BASE, ball_picture(), Cameras.one(10.0, 0.0, 3.8))


def views(base=BASE, refiner=REFINER, prompts=PROMPTS, coarse_target=True, targets=TARGETS, **sampling):
    settings = TargetSampling(**{"steps": 3, "scale": 1.5, "seed": 4, "chunk": 8, **sampling})
    cascade = Cascade([prompts, Stage()], LoadedModels([base, refiner]))
    return novel_views(cascade, refiner, GIVEN, targets, settings, coarse_target)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("chunk", [1, 2])
def test_views_do_not_depend_on_the_chunks_in_which_they_are_made(chunk, eta):
    whole, parts = views(eta=eta), views(eta=eta, chunk=chunk)
    torch.testing.assert_close(parts.coarse.pictures, whole.coarse.pictures, atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.views.pictures, whole.views.pictures, atol=1e-5, rtol=0)
    assert (whole.views.pictures - whole.coarse.pictures).abs().max() > 1e-3


def test_the_baseline_is_base_alone():
    baseline = views(refiner=BASE, prompts=NO_PROMPTS, coarse_target=False)
    assert baseline.coarse is None and len(baseline.shown) == 1
    sampling = TargetSampling(steps=3, scale=1.5, seed=4)
    expected = sample_targets(BASE, EncodedViews.of(BASE, GIVEN[None]), TARGETS, sampling)
    torch.testing.assert_close(baseline.views.pictures, expected.pictures)


def test_a_cascade_of_one_model_is_the_baseline_and_of_three_has_the_second_s_coarse_targets():
    settings = TargetSampling(steps=3, scale=1.5, seed=4)
    one = novel_views(Cascade([Stage()], LoadedModels([BASE])), BASE, GIVEN, TARGETS, settings, coarse_target=False)
    baseline = views(refiner=BASE, prompts=NO_PROMPTS, coarse_target=False)
    torch.testing.assert_close(one.views.pictures, baseline.views.pictures)
    second = Stage(((90.0, 0.0),), Sampling(steps=1, scale=1.0, seed=0))
    models = [tiny_model(seed=seed) for seed in range(3)]
    three = novel_views(Cascade([PROMPTS, second, Stage()], LoadedModels(models)), models[2], GIVEN, TARGETS, settings)
    assert three.shown.cameras.azimuth_deg.tolist() == [0, 45, 0, 90]
    as_prompts = TargetSampling(steps=1, scale=1.0, seed=4)
    encoded = EncodedViews.of(models[1], three.shown[None])
    coarse = sample_targets(models[1], encoded, TARGETS, as_prompts, purpose="coarse target")
    torch.testing.assert_close(three.coarse.pictures, coarse.rounded().pictures)


def test_a_coarse_target_is_sampled_as_the_prompts_are_and_not_as_the_views():
    coarse = views().coarse.pictures
    for other in ({"steps": 5}, {"scale": 4.0}, {"eta": 1.0}):
        assert torch.equal(views(**other).coarse.pictures, coarse)
    fewer = Stage(PROMPTS.offsets_deg, Sampling(steps=1, scale=1.5, seed=0))
    assert not torch.equal(views(prompts=fewer).coarse.pictures, coarse)
    like_it = views(refiner=BASE, prompts=NO_PROMPTS, coarse_target=False, steps=2)
    assert (like_it.views.pictures - coarse).abs().max() > 0.01, "its noise is that of the view"
    assert torch.equal(coarse, (coarse * 255).round() / 255)


def test_a_view_s_noise_depends_on_its_place_and_the_seed_alone():
    one = views(targets=TARGETS[:1]).views.pictures
    torch.testing.assert_close(one, views().views.pictures[:1], atol=1e-5, rtol=0)
    assert (views(seed=5).views.pictures - views().views.pictures).abs().max() > 1e-3


def test_eta_adds_noise_of_its_own_in_every_step():
    assert (views(eta=1.0).views.pictures - views().views.pictures).abs().max() > 1e-3
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
    made = views(scale=1.0, steps=1, targets=TARGETS[:1])
    context = seen[0]
    shown = torch.cat([made.shown.pictures, made.coarse.pictures])
    polar, azimuth = torch.deg2rad(torch.tensor([80.0, 80.0, 50.0, 80.0])), torch.tensor([0.0, 45.0, 0.0, 90.0])
    turn = torch.deg2rad(90.0 - azimuth)
    poses = torch.stack([polar[3] - polar, turn.sin(), turn.cos(), torch.zeros(4)], dim=1)  # Eq. 14; the target last
    tokens = torch.cat([REFINER.image_embedding(shown)[:, 0], poses], dim=1)
    expected = tokens @ REFINER.cc_projection.weight.T + REFINER.cc_projection.bias
    torch.testing.assert_close(context.tokens[0], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(context.concat, REFINER.source_latents(GIVEN.pictures))


class Loading:
    """Models that are made when they are loaded."""

    def __init__(self):
        self.bases = []

    def load(self, index):
        base = tiny_model(seed=index)
        self.bases.append(weakref.ref(base))
        return base

    def fingerprint(self, index):
        return ""


def test_base_is_loaded_once_and_gone_from_memory_after_its_stage():
    models, settings = Loading(), TargetSampling(steps=1, scale=1.0, seed=0)
    imagined = imagine(Cascade([PROMPTS, Stage()], models), GIVEN, TARGETS, settings)
    gc.collect()
    assert [base() for base in models.bases] == [None]
    assert len(imagined.coarse) == 3 and len(imagined.shown) == 1 + 2


def test_base_is_not_loaded_where_it_has_nothing_to_sample():
    models, settings = Loading(), TargetSampling(steps=1, scale=1.0, seed=0)
    cascade = Cascade([NO_PROMPTS, Stage()], models)
    assert imagine(cascade, GIVEN, TARGETS, settings, coarse_target=False).coarse is None
    assert models.bases == []


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
        ([[0, 0, -1]], [], [], "a target view at distance -1; expected more than 0"),
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
