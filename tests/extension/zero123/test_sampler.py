import pytest
import torch
from cascade_zero123.cascade.context import EncodedViews
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.sampler import (
    continue_ddim,
    guided,
    guided_output,
    noise_like_latents,
    predict_in_one_step,
    sample_ddim,
    x0_and_epsilon,
)
from tiny_zero123 import EPSILON, SIZE, tiny_model

HERE = Cameras.one(10.0, 0.0, 3.8)
THREE = Cameras(torch.tensor([10.0, 10.0, 40.0]), torch.tensor([45.0, -45.0, 0.0]), torch.full((3,), 3.8))


def context_of(model, targets=THREE):
    shown = Views(torch.rand(1, 3, SIZE, SIZE), HERE)
    return EncodedViews.of(model, shown[None]).context(model, targets[None])


def x_t(alpha_bar):
    x0, epsilon = torch.randn(2, 3, 4, 2, 2, dtype=torch.float64)
    signal, sigma = alpha_bar.sqrt()[:, None, None, None], (1 - alpha_bar).sqrt()[:, None, None, None]
    return x0, epsilon, signal * x0 + sigma * epsilon, signal * epsilon - sigma * x0


def test_guided_noise_follows_its_formula_entry_by_entry():
    uncond, cond = torch.randn(2, 2, 3, 2, 2, dtype=torch.float64)
    expected = torch.empty_like(cond)
    for index in torch.cartesian_prod(*(torch.arange(n) for n in cond.shape)):
        at = tuple(index)
        expected[at] = (1 - 2.5) * uncond[at] + 2.5 * cond[at]
    torch.testing.assert_close(guided(uncond, cond, 2.5), expected)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_guidance_scale_0_is_unconditional_and_1_conditional(scale):
    both = torch.randn(2, 1, 3, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(guided(*both, scale), both[int(scale)])


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_every_prediction_type_says_the_same_x0_and_epsilon(kind):
    alpha_bar = torch.tensor([0.999, 0.5, 0.003], dtype=torch.float64)
    x0, epsilon, noisy, v = x_t(alpha_bar)
    output = {"epsilon": epsilon, "v_prediction": v, "sample": x0}[kind]
    found_x0, found_epsilon = x0_and_epsilon(output, noisy, alpha_bar, kind)
    torch.testing.assert_close(found_x0, x0)
    torch.testing.assert_close(found_epsilon, epsilon)


def test_at_zero_terminal_snr_x0_is_minus_v_and_epsilon_is_the_input():
    x0, _, noisy, v = x_t(torch.zeros(3, dtype=torch.float64))
    found_x0, found_epsilon = x0_and_epsilon(v, noisy, torch.zeros(3, dtype=torch.float64), "v_prediction")
    torch.testing.assert_close(found_x0, x0)
    torch.testing.assert_close(found_x0, -v)
    torch.testing.assert_close(found_epsilon, noisy)


def test_an_unknown_prediction_type_is_named():
    output = torch.zeros(1, 1, 1, 1)
    with pytest.raises(ValueError, match='prediction type "flow"; known are epsilon'):
        x0_and_epsilon(output, output, torch.ones(1), "flow")


def test_scale_1_takes_one_pass_a_view():
    model = tiny_model()
    context, noise = context_of(model), noise_like_latents(model, 3, 0, torch.device("cpu"))
    batches = []
    model.unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    timestep = torch.tensor([999, 500, 0])
    one, two = (guided_output(model, noise, timestep, context, scale) for scale in (1.0, 1.0 + 1e-9))
    assert batches == [3, 6]
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("scheduler", [None, EPSILON])
def test_ddim_is_decided_by_its_noise_and_independent_of_the_batch(scheduler):
    model = tiny_model(scheduler)
    context, noise = context_of(model), noise_like_latents(model, 3, 7, torch.device("cpu"))
    together = sample_ddim(model, context, noise, steps=5, scale=2.0)
    torch.testing.assert_close(together, sample_ddim(model, context, noise, steps=5, scale=2.0))
    last = THREE[2:]
    alone_context = context_of(model, last)
    alone_context.concat, alone_context.tokens = context.concat[2:], context.tokens[2:]
    alone_context.vector = context.vector[2:]
    torch.testing.assert_close(sample_ddim(model, alone_context, noise[2:], steps=5, scale=2.0), together[2:])


def test_ddim_reports_each_step():
    model = tiny_model()
    seen = []
    noise = noise_like_latents(model, 3, 0, torch.device("cpu"))
    sample_ddim(model, context_of(model), noise, 4, 1.0, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_ddim_with_the_true_v_recovers_the_clean_latents():
    model = tiny_model()
    x0 = torch.randn(3, *model.latent_shape)
    alphas = model.scheduler().alphas_cumprod

    def true_v(noisy, timestep, context):
        signal, sigma = alphas[timestep].sqrt()[:, None, None, None], (1 - alphas[timestep]).sqrt()[:, None, None, None]
        epsilon = (noisy - signal * x0) / sigma
        return signal * epsilon - sigma * x0

    model.predict = true_v
    noise = noise_like_latents(model, 3, 0, torch.device("cpu"))
    torch.testing.assert_close(sample_ddim(model, context_of(model), noise, 10, 1.0), x0, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(predict_in_one_step(model, context_of(model), noise), x0)


def test_one_step_prediction_is_minus_the_output_at_the_last_timestep():
    model = tiny_model()
    context, noise = context_of(model), noise_like_latents(model, 3, 0, torch.device("cpu"))
    expected = -model.predict(noise, torch.full((3,), 999), context)
    torch.testing.assert_close(predict_in_one_step(model, context, noise), expected)


def test_continuing_ddim_from_the_top_is_a_whole_run():
    model = tiny_model()
    context, noise = context_of(model), noise_like_latents(model, 3, 0, torch.device("cpu"))
    path = continue_ddim(model, context, noise, 999, 10, 1.0)
    assert len(path) == 10
    torch.testing.assert_close(path[-1], sample_ddim(model, context, noise, 10, 1.0))


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_eta_adds_its_share_of_noise_as_the_ddim_paper_has_it(eta):
    """Eq. 12 and 16 of Song et al. 2021, in float64, step by step."""
    model = tiny_model(EPSILON)
    context, noise = context_of(model), noise_like_latents(model, 3, 0, torch.device("cpu"))
    added = torch.randn(5, *noise.shape)
    found = sample_ddim(model, context, noise, 4, 1.0, eta=eta, step_noise=lambda step: added[step])
    scheduler = model.scheduler()
    scheduler.set_timesteps(4)
    alphas, latents = scheduler.alphas_cumprod.double(), noise.double()
    stride = len(alphas) // 4
    for index, t in enumerate(scheduler.timesteps.tolist(), start=1):
        a, b = alphas[t], alphas[t - stride] if t >= stride else scheduler.final_alpha_cumprod.double()
        epsilon = model.predict(latents.float(), torch.full((3,), t), context).double()
        x0 = (latents - (1 - a).sqrt() * epsilon) / a.sqrt()
        sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
        latents = b.sqrt() * x0 + (1 - b - sigma**2).sqrt() * epsilon + sigma * added[index]
    torch.testing.assert_close(found.double(), latents, atol=1e-4, rtol=1e-4)


def test_eta_without_seeded_noise_is_refused():
    model = tiny_model()
    with pytest.raises(ValueError, match="seeded"):
        sample_ddim(model, context_of(model), noise_like_latents(model, 3, 0, torch.device("cpu")), 2, 1.0, eta=1.0)


@pytest.mark.parametrize("steps", [0, 1001])
def test_a_number_of_steps_that_no_schedule_has_is_refused(steps):
    model = tiny_model()
    with pytest.raises(ValueError, match=f"{steps} DDIM steps; expected 1 to 1000"):
        sample_ddim(model, context_of(model), noise_like_latents(model, 3, 0, torch.device("cpu")), steps, 1.0)
