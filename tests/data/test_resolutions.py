import pytest

from threestudio.data.resolutions import Resolution, ResolutionSchedule
from threestudio.errors import UserError


def error_of(*args, **kwargs):
    with pytest.raises(UserError) as caught:
        ResolutionSchedule.parse(*args, **kwargs)
    return str(caught.value)


def test_a_milestone_is_the_first_step_of_the_next_resolution():
    schedule = ResolutionSchedule.parse("data", [64, 128, 256], [32, 64, 128], [200, 300], [12, 4, 2])
    assert schedule.at(0) == schedule.at(199) == Resolution(64, 32, 12)
    assert schedule.at(200) == schedule.at(299) == Resolution(128, 64, 4)
    assert schedule.at(300) == schedule.at(10_000) == Resolution(256, 128, 2)


def test_a_single_number_serves_every_milestone():
    schedule = ResolutionSchedule.parse("data", [64, 128], [64, 128], [5], 3)
    assert [schedule.at(step).batch_size for step in (0, 5)] == [3, 3]


def test_milestones_of_a_constant_resolution_are_ignored_and_said(caplog):
    schedule = ResolutionSchedule.parse("data", 64, [64], [200])
    assert schedule.at(1000) == Resolution(64, 64)
    assert "data.resolution_milestones: ignored, since the resolution does not change" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([64, 128], [64, 128], []), "data.resolution_milestones: 0 given; 2 resolutions need 1"),
        (([64, 128, 256], [64, 128], [1, 2]), "data.width: 2 values where another list has 3; give as many"),
        ((["64", "a"], [64, 128], [1]), "data.height: ['64', 'a'] must be whole numbers above 0"),
        ((0, 64, []), "data.height: [0] must be whole numbers above 0"),
        (([1, 2, 3], [1, 2, 3], [9, 4]), "data.resolution_milestones: [9, 4] must rise"),
    ],
)
def test_lists_that_do_not_fit_are_named(arguments, message):
    assert error_of("data", *arguments) == message
