from cascade_zero123.training.schedule import rate_factor


def test_the_rate_rises_stays_and_falls_linearly():
    rates = [
        rate_factor(step, warmup_steps=4, constant_steps=10, decay_steps=20, final_factor=0.1) for step in range(30)
    ]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0] and set(rates[3:11]) == {1.0}
    assert rates[15] == 1 - 0.9 / 2 and all(abs(rate - 0.1) < 1e-12 for rate in rates[20:])


def test_how_long_the_constant_part_lasts_changes_nothing_of_it():
    """So a run may be prolonged, and end more than once."""
    for constant, decay in ((10, 20), (15, 18), (10**6, 0)):
        assert [rate_factor(step, 4, constant, decay, 0.1) for step in range(11)] == [0.25, 0.5, 0.75] + 8 * [1.0]


def test_without_a_decay_the_rate_never_falls():
    assert rate_factor(10**9, 4, 0, 0, 0.05) == 1.0
