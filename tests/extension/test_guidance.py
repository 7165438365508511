import gc
import logging

import cascade_zero123.guidance  # noqa: F401  (registers it)
import pytest
import torch
import torch.nn.functional as F
from cascade_zero123.sds import sds_gradient
from cascade_zero123.zero123.sampler import guided_output, x0_and_epsilon
from cascade_zero123.zero123.weights.loading import save_zero123
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image
from tiny_zero123 import EPSILON, SIZE, ball_picture, save_tiny_cascade, tiny_model

import threestudio


@pytest.fixture(scope="module")
def cascade(tmp_path_factory):
    return save_tiny_cascade(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def make(cascade, tmp_path):
    def make(**changes):
        cfg = {
            "base": {"weights": str(cascade / "base")},
            "refiner": {"weights": str(cascade / "refiner")},
            "cond_elevation_deg": 10.0,
            "cond_camera_distance": 3.8,
            "prompt_steps": 2,
            "cache_dir": str(tmp_path / "cache"),
        }
        guidance = threestudio.find("cascade-zero123-guidance")(cfg | changes)
        guidance.set_source(ball_picture())
        return guidance

    return make


def cameras(views=2):
    return {
        "elevation": torch.linspace(0, 30, views),
        "azimuth": torch.linspace(20, 200, views),
        "camera_distances": torch.full((views,), 3.8),
    }


def renderings(views=2, size=SIZE):
    return torch.rand(views, size, size, 3, generator=torch.Generator().manual_seed(3)).requires_grad_()


def gradient(guidance):
    rgb = renderings()
    guidance(rgb, **cameras())["loss_sds"].backward()
    return rgb.grad


def test_base_is_freed_once_it_has_sampled_its_views(make):
    guidance = make()
    assert len(guidance.shown) == 4
    gc.collect()
    assert guidance.models.borrowed() == []


def test_attention_is_fused(make):
    processors = set(map(type, make().refiner.unet.attn_processors.values()))
    assert processors == {AttnProcessor2_0}


@pytest.mark.parametrize("weighting", ["sds", "x0"])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_gradient_of_the_rendering_is_the_encoder_s_pull_back_of_the_weighted_residual(make, weighting, scale):
    guidance = make(weighting=weighting, guidance_scale=scale)
    rgb = renderings()
    guidance(rgb, **cameras())["loss_sds"].backward()
    again = rgb.detach().clone().requires_grad_()
    latents = guidance.refiner.target_latents(again.permute(0, 3, 1, 2))
    timestep, noise = guidance.draw(latents)
    alpha_bar = guidance.alphas_bar[timestep]
    noisy = guidance.scheduler.add_noise(latents.detach(), noise, timestep)
    output = guided_output(guidance.refiner, noisy, timestep, guidance.context(*cameras().values()), scale)
    x0, epsilon = x0_and_epsilon(output, noisy, alpha_bar, "v_prediction")
    latents.backward(sds_gradient(latents.detach(), noise, x0, epsilon, alpha_bar, weighting) / 2)
    torch.testing.assert_close(rgb.grad, again.grad)


@pytest.mark.parametrize("encoder_gradient", ["recomputed", "linear"])
def test_cheaper_gradients_are_the_exact_one_s_with_a_linear_autoencoder(make, encoder_gradient):
    found, exact = gradient(make(encoder_gradient=encoder_gradient)), gradient(make())
    # The pictures that `linear` is fitted to have 16 latents each here, of 1024 with published weights.
    assert torch.nn.functional.cosine_similarity(found.flatten(), exact.flatten(), dim=0) > 0.9


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_gives_nearly_the_exact_gradient(make, precision):
    found, exact = gradient(make(precision=precision)), gradient(make())
    assert torch.nn.functional.cosine_similarity(found.flatten(), exact.flatten(), dim=0) > 0.99


def test_the_host_s_mixed_precision_ends_at_the_networks(make):
    def result(guidance, enabled):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            return guidance(renderings(), **cameras())["loss_sds"]

    assert torch.equal(result(make(), True), result(make(), False))


def test_half_precision_weights_is_upstream_s_name_of_fp16_and_counts_on_cuda_only(make):
    assert make(half_precision_weights=True).refiner.unet.dtype == torch.float32


def test_no_gradient_reaches_the_networks(make):
    guidance = make()
    guidance(renderings(), **cameras())["loss_sds"].backward()
    assert all(parameter.grad is None for parameter in guidance.refiner.parameters())


def test_timesteps_and_noise_depend_on_seed_and_step_alone(make):
    guidance, other = make(), make(seed=1)
    latents = torch.zeros(4, *guidance.refiner.latent_shape)

    def drawn(guidance, step):
        guidance.update_step(0, step)
        return guidance.draw(latents)

    first = drawn(guidance, 7)
    drawn(guidance, 8)
    torch.testing.assert_close(drawn(guidance, 7), first)
    assert not torch.equal(drawn(guidance, 8)[1], first[1])
    assert not torch.equal(drawn(other, 7)[1], first[1])


def test_timesteps_stay_within_the_annealed_range(make):
    guidance = make(min_step_percent=[0, 0.5, 0.2, 100], max_step_percent=[0, 0.99, 0.8, 100])
    latents = torch.zeros(400, *guidance.refiner.latent_shape)
    for step, low, high in ((0, 500, 990), (100, 200, 800)):
        guidance.update_step(0, step)
        assert (guidance.min_step, guidance.max_step) == (low, high)
        timestep, _ = guidance.draw(latents)
        assert low <= int(timestep.min()) and int(timestep.max()) <= high
        assert int(timestep.max()) - int(timestep.min()) > 0.9 * (high - low)


def test_the_whole_range_reaches_the_last_timestep_and_no_further(make):
    assert make(max_step_percent=1.0).max_step == 999


def test_the_result_has_upstream_s_keys(make):
    result = make(guidance_scale=2.0)(renderings(3, 24), **cameras(3), guidance_eval=True, rays_o=None)
    assert {"loss_sds", "grad_norm", "min_step", "max_step", "eval"} == set(result)
    pictures = result["eval"]
    for name in ("imgs_noisy", "imgs_1step", "imgs_1orig", "imgs_final"):
        assert pictures[name].shape == (3, SIZE, SIZE, 3)
    assert pictures["bs"] == len(pictures["texts"]) == len(pictures["noise_levels"]) == 3


def test_renderings_may_be_latents(make):
    guidance = make()
    channels, height, width = guidance.refiner.latent_shape
    rgb = torch.rand(2, height, width, channels, requires_grad=True)
    guidance(rgb, **cameras(), rgb_as_latents=True)["loss_sds"].backward()
    assert rgb.grad.abs().sum() > 0


def test_grad_clip_bounds_every_entry(make):
    guidance = make(grad_clip=0.01, weighting="x0")
    latents = torch.randn(2, *guidance.refiner.latent_shape)
    gradient = guidance.gradient(latents, latents, latents, latents, torch.tensor([500, 600]))
    assert gradient.abs().max() <= 0.01


def test_prompt_views_and_source_are_the_context(make):
    guidance = make()
    assert guidance.context(*cameras().values()).tokens.shape[1] == 4
    assert len(guidance.shown) == 1 + 3


def test_no_prompt_views_is_plain_zero123(make):
    guidance = make(prompt_views=[])
    assert guidance.context(*cameras().values()).tokens.shape[1] == 1
    assert guidance(renderings(), **cameras())["loss_sds"].isfinite()


def test_one_step_views_do_not_depend_on_what_was_asked_beside_them(make):
    guidance = make()
    views = guidance.one_step_views(*cameras(20).values(), noises=3)
    assert views.shape == (20, SIZE, SIZE, 3)
    alone = guidance.one_step_views(*(value[7:8] for value in cameras(20).values()), noises=3)
    torch.testing.assert_close(alone, views[7:8], atol=1e-5, rtol=1e-4)


def test_an_epsilon_model_is_guided_by_the_same_code(tmp_path):
    save_zero123(tiny_model(EPSILON), tmp_path / "epsilon")
    cfg = {"pretrained_model_name_or_path": str(tmp_path / "epsilon"), "prompt_steps": 2, "cache_dir": None}
    guidance = threestudio.find("cascade-zero123-guidance")(cfg)
    guidance.set_source(ball_picture())
    assert guidance.models.load(0) is guidance.refiner
    assert guidance(renderings(), **cameras())["loss_sds"].isfinite()
    assert guidance.one_step_views(*cameras().values()).isfinite().all()


@pytest.mark.parametrize(("ratio", "said"), [(0.51, 1), (0.75, 0)])
def test_a_host_that_hands_no_picture_over_has_it_read_and_shown_as_its_losses_see_it(
    ratio, said, cascade, tmp_path, caplog
):
    """Upstream's losses: the file's alpha, scaled to the rendering, no box of it moved or enlarged."""
    picture = ball_picture(size=128, ratio=ratio).roll((9, -5), dims=(0, 1))
    Image.fromarray((picture * 255).byte().numpy()).save(tmp_path / "ball.png")
    cfg = {"base": {"weights": str(cascade / "base")}, "cond_image_path": str(tmp_path / "ball.png")}
    guidance = threestudio.find("cascade-zero123-guidance")({**cfg, "prompt_steps": 2, "cache_dir": None})
    with caplog.at_level(logging.INFO):
        guidance(renderings(), **cameras())
    mask = F.interpolate(picture[None, None, ..., 3], guidance.source.shape[-2:], mode="area")
    seen = 1 - guidance.source.amin(1, keepdim=True)  # how far from white: 0.9 inside the ball, whose blue is 0.1
    torch.testing.assert_close(seen, 0.9 * mask, atol=0.2, rtol=0)
    assert caplog.text.count(": the object spans 0.52 of the picture, usual with these weights is 0.75") == said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": {}}, "guidance.base.weights must be given"),
        ({"base": {"weight": "x"}}, "guidance.base.weight: unknown key"),
        ({"weighting": "snr"}, 'weighting: "snr" is unknown; known are sds, x0'),
        ({"precision": "half"}, 'precision: "half" is unknown; known are'),
        ({"encoder_gradient": "none"}, 'encoder_gradient: "none" is unknown; known are'),
        ({"refiner": {"weights": "/nowhere"}}, "/nowhere: no such folder"),
        ({"prompt_views": [[45.0]]}, "guidance.prompt_views"),
        ({"prompt_steps": 0}, "prompt_steps: 0 is not within 1 and 1000"),
    ],
    ids=[
        "no weights",
        "unknown key",
        "weighting",
        "precision",
        "encoder gradient",
        "no folder",
        "half an offset",
        "no steps",
    ],
)
def test_wrong_settings_are_named(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)
