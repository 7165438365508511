import random

import numpy as np
import torch

from threestudio.utils.misc import get_seed, set_seed, step_generator
from threestudio.utils.random_state import random_state, set_random_state


def draw(*key):
    return torch.rand(4, generator=step_generator(*key)).tolist()


def test_the_same_key_draws_the_same_numbers_whatever_was_drawn_before():
    first = draw(0, "camera", 5)
    torch.rand(10)
    assert draw(0, "camera", 5) == first


def test_seed_purpose_and_step_each_change_the_draw():
    draws = [draw(0, "camera", 5), draw(1, "camera", 5), draw(0, "noise", 5), draw(0, "camera", 6)]
    assert len({tuple(numbers) for numbers in draws}) == 4


def test_the_runs_seed_is_kept():
    before = get_seed()
    set_seed(7)
    assert get_seed() == 7
    set_seed(before)


def test_a_restored_random_state_repeats_all_three_generators(tmp_path):
    def numbers():
        return random.random(), float(np.random.rand()), float(np.random.randn()), float(torch.rand(()))

    np.random.randn()  # leaves the second of a pair of Gaussians in the state
    torch.save(random_state(), tmp_path / "state.pt")
    first = numbers()
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert numbers() == first
