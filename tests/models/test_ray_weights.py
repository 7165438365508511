"""Packed weights against a loop over the samples in float64."""

import math

import torch

from threestudio.models.renderers.ray_weights import composite, render_weights, visible
from threestudio.models.renderers.samples import RaySamples
from threestudio.models.renderers.visibility import only_visible

N_RAYS = 6


def packed(count=40):
    rays = torch.randint(0, N_RAYS, (count,)).sort().values
    rays[rays == 2] = 3  # a ray without samples
    starts = torch.cat([torch.rand(int((rays == ray).sum())).sort().values for ray in range(N_RAYS)])
    return RaySamples(rays, starts, starts + 0.01 + 0.1 * torch.rand(count))


def slow_weights(samples, density):
    transmittance, weights = {}, []
    for ray, length, sigma in zip(
        samples.rays.tolist(), (samples.ends - samples.starts).tolist(), density, strict=True
    ):
        left = transmittance.get(ray, 1.0)
        weights.append(left * (1.0 - math.exp(-sigma * length)))
        transmittance[ray] = left * math.exp(-sigma * length)
    return weights


def test_weights_equal_the_slow_reference():
    samples, density = packed(), 10.0 * torch.rand(40)
    expected = torch.tensor(slow_weights(samples, density.tolist()))
    torch.testing.assert_close(render_weights(samples, density, N_RAYS), expected)


def test_gradients_equal_finite_differences():
    samples = packed(12)
    samples = RaySamples(samples.rays, samples.starts.double(), samples.ends.double())
    density = (0.5 + torch.rand(12, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda sigma: render_weights(samples, sigma, N_RAYS), density)


def test_a_ray_is_untouched_by_dense_rays_before_it():
    samples, density = packed(), 10.0 * torch.rand(40)
    last = samples.rays == samples.rays[-1]
    alone = render_weights(samples.where(last), density[last], N_RAYS)
    density[~last] *= 1e6
    torch.testing.assert_close(render_weights(samples, density, N_RAYS)[last], alone)


def test_visible_samples_are_neither_transparent_nor_hidden():
    samples = RaySamples(torch.tensor([0, 0, 0, 1]), torch.arange(4.0), torch.arange(4.0) + 1)
    density = torch.tensor([1e-4, 50.0, 50.0, 50.0])
    assert visible(samples, density, 2, min_alpha=0.01).tolist() == [False, True, False, True]


def test_compositing_sums_each_ray_and_leaves_empty_rays_at_zero():
    samples, weights = packed(), torch.rand(40)
    sums = composite(samples, weights, torch.ones(40, 1), N_RAYS)[:, 0]
    torch.testing.assert_close(sums[5], weights[samples.rays == 5].sum())
    assert sums[2] == 0.0


def test_no_samples_give_no_weights():
    nothing = torch.zeros(0)
    samples = RaySamples(nothing.long(), nothing, nothing)
    assert render_weights(samples, nothing, 3).shape == (0,)
    assert len(samples.or_one_of_length_zero().rays) == 1


def test_ranks_count_the_samples_of_each_ray():
    nothing = torch.zeros(6)
    assert RaySamples(torch.tensor([0, 0, 0, 2, 2, 5]), nothing, nothing).ranks.tolist() == [0, 1, 2, 0, 1, 0]


def test_looking_front_to_back_finds_the_same_visible_samples_with_fewer_evaluations():
    starts = torch.arange(30.0).repeat(4)
    samples = RaySamples(torch.arange(4).repeat_interleave(30), starts, starts + 1)
    density = torch.cat([torch.full((30,), value) for value in (0.0, 1e-3, 0.5, 20.0)])
    asked = []

    def look_up(part):
        asked.append(len(part.rays))
        return density[(part.rays * 30 + part.starts).long()]

    found = only_visible(samples, look_up, 4, min_alpha=1e-4)
    expected = samples.where(visible(samples, density, 4, 1e-4))
    assert torch.equal(found.rays, expected.rays) and torch.equal(found.starts, expected.starts)
    assert sum(asked) < 0.8 * len(starts)
