import pytest

from threestudio.errors import UserError
from threestudio.utils.schedules import C, C_max


def test_a_number_is_its_own_schedule():
    assert C(0.5, 3, 100) == 0.5


@pytest.mark.parametrize("step, value", [(0, 1.0), (10, 1.0), (15, 2.0), (20, 3.0), (99, 3.0)])
def test_four_numbers_move_linearly_between_the_two_steps(step, value):
    assert C([10, 1.0, 3.0, 20], 0, step) == pytest.approx(value)


def test_three_numbers_start_at_step_zero():
    assert C([1.0, 3.0, 20], 0, 10) == C([0, 1.0, 3.0, 20], 0, 10) == 2.0


@pytest.mark.parametrize("step, value", [(5, 1.5), (10, 2.0), (15, 3.0), (20, 4.0), (25, 2.0), (40, 0.0)])
def test_further_pairs_append_pieces(step, value):
    assert C([0, 1.0, 2.0, 10, 4.0, 20, 0.0, 30], 0, step) == pytest.approx(value)


def test_a_float_end_counts_epochs():
    assert C([0, 0.0, 1.0, 4.0], 2, 1000) == 0.5


def test_exp_is_linear_in_the_logarithm():
    assert C([0, 1.0, 100.0, 10], 0, 5, "exp") == pytest.approx(10.0)


def test_the_maximum_is_over_all_pieces():
    assert C_max([0, 1.0, 2.0, 10, 4.0, 20, 0.0, 30]) == 4.0


@pytest.mark.parametrize("schedule", [[1.0], [0, 1.0, 2.0, 10, 3.0], [0, 1.0, 2.0, 0], [0, "a", 1.0, 2]])
def test_a_malformed_schedule_is_refused(schedule):
    with pytest.raises(UserError, match="schedule"):
        C(schedule, 0, 0)


def test_an_interpolation_of_another_name_is_refused():
    with pytest.raises(UserError, match='unknown interpolation "cubic"; known are linear, exp'):
        C([0, 1.0, 2.0, 10], 0, 5, "cubic")
