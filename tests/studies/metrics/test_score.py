import pytest
import torch

from studies.metrics import Score, Unavailable, mean_score, psnr, resized, score


def test_a_score_is_the_mean_over_views():
    truth = torch.zeros(2, 3, 4, 4)
    images = truth + torch.tensor([0.1, 0.01])[:, None, None, None]
    assert score(psnr, images, truth).value == pytest.approx((20 + 40) / 2, abs=1e-4)


def test_what_cannot_be_measured_says_why_and_gives_no_number():
    measured = score(Unavailable("CLIP", "no CLIP folder was named"), torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
    assert measured == Score(None, "no CLIP folder was named")
    assert measured.text() == "n/a"


def test_a_mean_over_objects_of_which_one_has_no_value_has_none():
    assert mean_score([Score(1.0), Score(2.0)]) == Score(1.5)
    assert mean_score([Score(1.0), Score(None, "broken picture")]) == Score(None, "broken picture")
    assert mean_score([]).value is None


@pytest.mark.parametrize("value, reason", [(None, ""), (1.0, "and a reason")])
def test_a_score_has_a_value_or_a_reason(value, reason):
    with pytest.raises(ValueError, match="either"):
        Score(value, reason)


def test_an_interval_is_written_with_the_value():
    assert Score(0.12345, interval=(0.1, 0.15)).text() == "0.123 [0.100, 0.150]"


def test_a_picture_is_shrunk_without_aliasing_and_left_alone_at_its_size():
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2] = 1.0
    grey = resized(stripes, 16)[..., 2:-2]
    assert (grey - 0.5).abs().max() < 0.05
    assert resized(stripes, 64) is stripes
