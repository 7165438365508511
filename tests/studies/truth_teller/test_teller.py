"""The truth-teller has a Zero-1-to-3's interface and leads where it says."""

import pytest
import torch
from cascade_zero123.cascade.context import EncodedViews
from cascade_zero123.cascade.stages import Sampling, sample_views
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.model import Zero123
from cascade_zero123.zero123.pose import pose_token
from cascade_zero123.zero123.sampler import guided_output, x0_and_epsilon
from tiny_truth import SIZE, around, camera, mind, true_views

from studies.truth_teller.autoencoder import PATCH, SCALING_FACTOR, LinearAutoencoder
from studies.truth_teller.denoiser import answer, condition_of, target_of
from studies.truth_teller.errors import Errors
from studies.truth_teller.teller import truth_teller

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def context(model, targets, extra=()):
    shown = Views(true_views().pictures(camera(10.0, 0.0)), camera(10.0, 0.0))
    shown = Views.join([shown, *(Views(true_views().pictures(at), at) for at in extra)])
    return EncodedViews.of(model, shown[None]).context(model, targets[None])


def test_the_answer_is_the_inverse_of_the_sampler_s_reading_in_float64():
    generator = torch.Generator().manual_seed(0)
    x0, noisy = torch.randn(2, 3, 4, 5, 5, dtype=torch.float64, generator=generator)
    alpha_bar = torch.tensor([0.999, 0.5, 0.005], dtype=torch.float64)
    for kind in PREDICTIONS:
        found, epsilon = x0_and_epsilon(answer(x0, noisy, alpha_bar, kind), noisy, alpha_bar, kind)
        assert torch.allclose(found, x0, atol=1e-10, rtol=0)
        signal, sigma = alpha_bar.sqrt()[:, None, None, None], (1 - alpha_bar).sqrt()[:, None, None, None]
        assert torch.allclose(signal * found + sigma * epsilon, noisy, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_its_prediction_leads_to_the_true_view_through_the_scheduler_at_any_timestep(kind):
    model, targets = truth_teller(mind(), kind), around(3)
    scheduler = model.scheduler()
    scheduler.set_timesteps(len(scheduler.alphas_cumprod))
    x0 = model.target_latents(true_views().pictures(targets))
    timestep = torch.tensor([20, 500, 900])
    noisy = scheduler.add_noise(x0, torch.randn_like(x0), timestep) + 0.3
    output = guided_output(model, noisy, timestep, context(model, targets), 3.0)
    for view, step in enumerate(timestep.tolist()):
        one = slice(view, view + 1)
        found = scheduler.step(output[one].double(), step, noisy[one].double()).pred_original_sample
        assert torch.allclose(found, x0[one].double(), atol=2e-4)


def test_ddim_ends_in_the_true_views_whatever_the_noise():
    model, targets = truth_teller(mind()), around(2)
    shown = Views(true_views().pictures(camera(10.0, 0.0)), camera(10.0, 0.0))
    noise = torch.randn(2, *model.latent_shape)
    views = sample_views(model, shown[None], targets[None], noise, Sampling(steps=10, scale=3.0, seed=0))[0]
    expected = model.decode(model.target_latents(true_views().pictures(targets)))
    assert (views.pictures - expected).abs().max() < 0.05


def test_cameras_are_worked_out_from_the_poses():
    source, target = Cameras.one(10.0, 30.0, 1.5), Cameras.one(-5.0, -170.0, 1.8)
    pose = pose_token(target, source)
    for found, wanted in ((target_of(source, pose), target), (condition_of(target, pose), source)):
        turned = (found.as_tensor() - wanted.as_tensor())[1] % 360
        assert min(float(turned), 360 - float(turned)) < 1e-3
        assert torch.allclose(found.elevation_deg, wanted.elevation_deg, atol=1e-3)
        assert torch.allclose(found.distance, wanted.distance, atol=1e-5)


def test_more_views_shown_do_not_change_what_a_model_says_that_does_not_follow_them():
    model, targets = truth_teller(mind(Errors(shift=0.05))), around(2)
    noisy, timestep = torch.randn(2, *model.latent_shape), torch.tensor([300, 300])
    alone = model.predict(noisy, timestep, context(model, targets))
    more = model.predict(noisy, timestep, context(model, targets, [camera(10.0, 45.0)]))
    assert torch.allclose(alone, more, atol=1e-4)


def test_a_wrong_unconditional_branch_is_what_guidance_leads_away_from():
    grey = torch.full((3, SIZE, SIZE), 0.5)
    model, targets = truth_teller(mind(Errors(unconditional=1.0), mean_object=grey)), around(1)
    noisy, timestep = torch.randn(1, *model.latent_shape), torch.tensor([500])
    alpha_bar = model.scheduler().alphas_cumprod[timestep]
    output = guided_output(model, noisy, timestep, context(model, targets), 3.0)
    x0, _ = x0_and_epsilon(output, noisy, alpha_bar, "epsilon")
    true, mean = model.target_latents(true_views().pictures(targets)), model.target_latents(grey[None])
    assert torch.allclose(x0, 3 * true - 2 * mean, atol=2e-3)
    conditional = guided_output(model, noisy, timestep, context(model, targets), 1.0)
    assert torch.allclose(x0_and_epsilon(conditional, noisy, alpha_bar, "epsilon")[0], true, atol=1e-3)


def test_it_has_the_published_shapes_at_256_px():
    model = truth_teller(mind())
    assert isinstance(model, Zero123)
    published = truth_teller(type(model.unet.mind)(true_views(256), camera(10.0, 0.0)))
    assert published.latent_shape == (4, 32, 32) and published.channels == 3
    assert published.pixels_a_latent == PATCH


def test_the_autoencoder_is_linear_and_decodes_to_what_it_encodes():
    vae, picture = LinearAutoencoder(), torch.rand(2, 3, 32, 32) * 2 - 1
    latents = vae.encode(picture).latent_dist.mode()
    assert latents.shape == (2, 4, 4, 4)
    assert torch.allclose(
        vae.encode(2 * picture[:1] - picture[1:]).latent_dist.mode(), 2 * latents[:1] - latents[1:], atol=1e-5
    )
    again = vae.encode(vae.decode(latents).sample).latent_dist.mode()
    assert torch.allclose(again, latents, atol=1e-5)


def test_the_latents_of_generated_objects_have_about_unit_scale():
    from studies.truth_teller.true_views import TrueViews, true_object

    at = around(4)
    latents = [
        LinearAutoencoder().scaled_latents(TrueViews(true_object(f"generated:{index}"), 49.1, 64).pictures(at))
        for index in range(3)
    ]
    joined = torch.cat(latents)
    assert 0.7 < float((joined - joined.mean((0, 2, 3), keepdim=True)).std()) < 1.4
    assert SCALING_FACTOR > 0
