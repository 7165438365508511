import pytest
import torch

from threestudio.picture.white import white_filled, white_share

ORANGE = (0.9, 0.5, 0.1)


def picture(color=ORANGE, size=32):
    """A disc of one colour on transparent black: [1 4 size size]."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    alpha = (x**2 + y**2 < 0.8).float()
    return torch.cat([torch.tensor(color)[:, None, None] * alpha, alpha[None]])[None]


def striped(stripe=1.0, **kind):
    """The same with a stripe across its middle."""
    rgba = picture(**kind)
    rgba[:, :3, :, 14:18] = stripe * rgba[:, 3:, :, 14:18]
    return rgba


def test_a_white_stripe_takes_the_colour_around_it():
    filled = white_filled(striped())
    torch.testing.assert_close(filled * filled[:, 3:], picture(), atol=0.02, rtol=0)


def test_alpha_and_what_is_coloured_stay():
    rgba = striped()
    filled = white_filled(rgba)
    assert torch.equal(filled[:, 3], rgba[:, 3])
    assert torch.equal(filled[:, :3, :, :14], rgba[:, :3, :, :14])


@pytest.mark.parametrize("grey", [0.0, 0.4])
def test_dark_and_grey_stripes_stay(grey):
    assert torch.equal(white_filled(striped(grey)), striped(grey))


def test_an_object_that_is_white_all_over_is_shown_grey():
    rgba = picture((1.0, 1.0, 1.0))
    inside = white_filled(rgba)[:, :3].permute(0, 2, 3, 1)[rgba[:, 3] > 0]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.6))


@pytest.mark.parametrize("size", [7, 33])
def test_any_size_is_filled_without_a_colour_from_outside_the_object(size):
    rgba = picture(size=size)
    rgba[:, :3] += torch.tensor([0.0, 0.0, 0.9])[:, None, None] * (1.0 - rgba[:, 3:])  # blue where it is transparent
    rgba[:, :3, :, size // 3 : size // 2] = 1.0
    filled = white_filled(rgba)
    assert filled.shape == (1, 4, size, size) and filled.isfinite().all()
    torch.testing.assert_close(filled[:, :3] * rgba[:, 3:], picture(size=size)[:, :3], atol=0.02, rtol=0)


def test_the_share_is_of_the_object_alone():
    assert white_share(picture()[0]) == 0.0
    assert white_share(picture((1.0, 1.0, 1.0))[0]) == 1.0
    assert 0.1 < white_share(striped()[0]) < 0.2
    assert white_share(torch.zeros(4, 3, 3)) == 0.0
