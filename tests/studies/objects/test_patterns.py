import numpy as np
import pytest

from studies.objects import patterns

POINTS = np.random.default_rng(1).uniform(-0.5, 0.5, (500, 3))
UV = np.random.default_rng(2).uniform(0, 1, (500, 2))


@pytest.mark.parametrize("seed", range(40))
def test_patterns_give_colours_in_range_and_the_same_ones_again(seed):
    pattern = patterns.any_pattern(np.random.default_rng(seed))
    colours = pattern(POINTS, UV)
    assert colours.shape == (500, 3) and colours.min() >= 0 and colours.max() <= 1
    np.testing.assert_array_equal(colours, pattern(POINTS, UV))


def test_a_pattern_colours_a_point_alike_whichever_points_surround_it():
    for seed in range(20):
        pattern = patterns.any_pattern(np.random.default_rng(seed))
        np.testing.assert_allclose(pattern(POINTS, UV)[:10], pattern(POINTS[:10], UV[:10]), atol=1e-12)


def test_stripes_change_along_their_direction_only():
    black, white = np.zeros(3), np.ones(3)
    pattern = patterns.stripes(np.random.default_rng(0), [black, white], (0, 0, 1), 5)
    np.testing.assert_array_equal(pattern(POINTS, UV), pattern(POINTS * (0, 0, 1), UV))
    assert 0 < pattern(POINTS, UV).mean() < 1


def test_a_badge_shows_in_front_and_not_behind():
    pattern = patterns.badge(patterns.solid(np.zeros(3)), np.ones(3), (0.0, 0.0), (0.2, 0.2))
    front, back = pattern(np.array([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]]), np.zeros((2, 2)))
    assert front.tolist() == [1, 1, 1] and back.tolist() == [0, 0, 0]


def test_a_palette_has_neighbours_that_can_be_told_apart():
    rng = np.random.default_rng(0)
    gaps = [np.abs(np.diff(patterns.palette(rng, 4), axis=0)).sum(axis=1).min() for _ in range(50)]
    assert np.median(gaps) > 0.4
