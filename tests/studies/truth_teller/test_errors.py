"""Each kind of error is what its name says, and as strong as it is told to be."""

import pytest
import torch
from tiny_truth import around, camera, mind, true_views

from studies.truth_teller.errors import Deviation, Errors, angles_deg, blurred, drawn, is_behind, moved
from studies.truth_teller.moments import moments

NOTHING_SHOWN = torch.zeros(1, 9)


def seen(at, errors, shown=None, moments_seen=None, **more):
    shown = camera(10.0, 0.0) if shown is None else shown
    if moments_seen is None:
        moments_seen = moments(true_views().pictures(shown))
    return mind(errors, **more).view(at, shown, moments_seen)


def true(at):
    return true_views().pictures(at)[0]


def same(picture, other):
    """But for rounding."""
    return away(picture, other) < 1e-6


def away(picture, other):
    return float((picture - other).abs().mean())


def test_without_errors_the_view_is_the_true_one():
    assert same(seen(camera(30.0, 100.0), Errors()), true(camera(30.0, 100.0)))


def test_blur_keeps_the_mean_of_the_darkness_and_grows_with_its_strength():
    picture = true(camera(10.0, 40.0))
    soft, softer = blurred(picture, 0.01), blurred(picture, 0.05)
    assert torch.allclose((1 - soft).mean(), (1 - picture).mean(), atol=1e-3)
    assert 0 < away(soft, picture) < away(softer, picture)


def test_a_shift_moves_the_centre_by_just_as_much_and_a_gain_multiplies_the_darkness():
    picture = true(camera(10.0, 40.0))
    deviation = Deviation(torch.tensor([0.9, 1.0, 0.8]), torch.tensor([0.05, -0.03]))
    before, after = moments(picture[None])[0], moments(deviation(picture)[None])[0]
    assert torch.allclose(after[3:] - before[3:], deviation.shift.repeat_interleave(3), atol=5e-3)
    assert torch.allclose(after[:3] / before[:3], deviation.gain, rtol=1e-2)


def test_moments_tell_the_deviation_that_made_a_picture():
    picture = true(camera(10.0, 40.0))
    deviation = Deviation(torch.tensor([0.7, 0.9, 0.8]), torch.tensor([-0.04, 0.02]))
    found = Deviation.between(moments(picture[None])[0], moments(deviation(picture)[None])[0])
    assert torch.allclose(found.gain, deviation.gain, rtol=2e-2)
    assert torch.allclose(found.shift, deviation.shift, atol=5e-3)


def test_moving_by_whole_pixels_is_exact():
    picture = torch.rand(3, 16, 16)
    assert torch.allclose(moved(picture, torch.tensor([2 / 16, 0.0]))[:, :, 2:], picture[:, :, :-2], atol=1e-5)


def test_draws_have_the_given_spread():
    generator = torch.Generator().manual_seed(0)
    draws = [drawn(Errors(shift=0.05, colour=0.1), generator) for _ in range(400)]
    assert torch.stack([one.shift for one in draws]).std() == pytest.approx(0.05, rel=0.1)
    assert torch.stack([one.gain for one in draws]).std() == pytest.approx(0.1, rel=0.1)


def test_each_view_and_each_step_has_a_draw_of_its_own_and_always_the_same():
    errors, at = Errors(shift=0.05, colour=0.2), camera(20.0, 50.0)
    first = seen(at, errors, step=3)
    assert same(first, seen(at, errors, step=3))
    assert away(first, seen(at, errors, step=4)) > 1e-3
    assert away(first, seen(at, errors, step=3, seed=1)) > 1e-3
    beside = seen(camera(20.0, 50.1), errors, step=3)
    assert away(first, beside) > 10 * away(true(at), true(camera(20.0, 50.1)))


def test_a_wrong_back_shows_the_front_from_behind_and_leaves_the_front_alone():
    errors = Errors(back=1.0)
    assert same(seen(camera(10.0, 180.0), errors), true(camera(10.0, 0.0)))
    assert same(seen(camera(10.0, 60.0), errors), true(camera(10.0, 60.0)))


def test_a_back_is_wrong_as_often_as_its_probability():
    at, wrong = camera(10.0, 180.0), true(camera(10.0, 0.0))
    found = [same(seen(at, Errors(back=0.3), step=step), wrong) for step in range(60)]
    assert 0.15 < sum(found) / 60 < 0.45


def test_behind_is_more_than_a_quarter_turn_away():
    assert [is_behind(azimuth, 350.0) for azimuth in (0.0, 79.0, 81.0, 170.0, 259.0, 261.0)] == [
        *(False, False, True, True),
        *(True, False),
    ]


def test_angles_are_those_between_directions():
    others = around(4, elevation_deg=0.0)
    found = angles_deg(camera(0.0, 5.0), others)
    assert torch.allclose(found, torch.tensor([0.0, 90.0, 180.0, 90.0], dtype=found.dtype), atol=1e-3)
    assert float(angles_deg(camera(90.0, 0.0), camera(10.0, 123.0))) == pytest.approx(80.0, abs=1e-3)


def test_an_error_that_follows_shrinks_with_the_angle_to_the_nearest_view_shown():
    errors = Errors(blur=0.05, shift=0.1, colour=0.4, follows=True)
    shown = camera(10.0, 0.0)
    near = [away(seen(at, errors, shown), true(at)) for at in (camera(10.0, azimuth) for azimuth in (0.0, 5.0, 120.0))]
    assert near[0] < 5e-3 < near[2]
    assert near[0] < near[1] < near[2]


def test_views_near_one_prompt_share_its_error():
    prompt = camera(10.0, 90.0)
    wrong = Deviation(torch.tensor([0.6, 0.9, 0.8]), torch.tensor([0.06, 0.0]))
    shown_moments = moments(wrong(true(prompt))[None])
    errors = Errors(shift=1e-6, follows=True)
    for azimuth in (88.0, 92.0):
        at = camera(10.0, azimuth)
        view = seen(at, errors, prompt, shown_moments)
        assert away(view, wrong(true(at))) < 0.2 * away(view, true(at))


def test_an_error_that_does_not_follow_ignores_what_is_shown():
    at = camera(10.0, 90.0)
    far = seen(at, Errors(shift=0.05), camera(10.0, 0.0))
    assert same(far, seen(at, Errors(shift=0.05), at, NOTHING_SHOWN))
