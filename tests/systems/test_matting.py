import torch
import torch.nn.functional as F

from threestudio.picture.white import on_white
from threestudio.systems.matting import without_white_fog

RED, BLUE = (0.8, 0.1, 0.2), (0.1, 0.2, 0.7)


def disc(radius=0.5, side=64):
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    return (x**2 + y**2 < radius**2).float()[None, None]


def blurred(image, width):
    padded = F.pad(image, (width // 2,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, width, stride=1), 1)


def painted(color, alpha):
    color = torch.tensor(color)[None, :, None, None]
    return color * alpha + 1.0 - alpha


def test_a_blurred_outline_gets_its_full_colour_and_its_true_place():
    truth = disc()
    rgba = without_white_fog(painted(RED, blurred(truth, 9)), torch.tensor([RED]))
    inside = (rgba[:, 3:] > 0.5).float()
    assert (inside - truth).abs().sum() / truth.sum() < 0.03
    color = rgba[:, :3].permute(0, 2, 3, 1)[rgba[:, 3] > 0.1]
    torch.testing.assert_close(color, torch.tensor(RED).expand_as(color), atol=0.12, rtol=0)


def test_a_sharp_picture_stays_as_it_is():
    picture = painted(BLUE, disc())
    torch.testing.assert_close(on_white(without_white_fog(picture, torch.tensor([BLUE]))), picture, atol=0.02, rtol=0)


def test_white_with_a_little_noise_is_empty():
    noise = 1.0 - 0.02 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert without_white_fog(noise, torch.tensor([RED]))[:, 3].max() == 0


def test_a_pale_part_of_another_hue_beside_a_dark_one_stays():
    face, hair = (1.0, 0.8, 0.65), (0.05, 0.1, 0.3)
    picture = painted(face, disc())
    picture[..., :24, :] = painted(hair, disc())[..., :24, :]
    assert (on_white(without_white_fog(picture, torch.tensor([face, hair]))) - picture).abs().mean() < 0.005


def test_a_hue_that_the_source_picture_shows_is_not_taken_for_paler_than_there():
    faint = painted(RED, 0.3 * disc())
    colors = {shown: without_white_fog(faint, torch.tensor([shown]))[0, :3, 32, 32] for shown in (RED, BLUE)}
    assert without_white_fog(faint, torch.tensor([BLUE]))[0, 3, 32, 32] == 1.0
    assert without_white_fog(faint, torch.tensor([RED]))[0, 3, 32, 32] < 0.5
    torch.testing.assert_close(colors[BLUE], faint[0, :, 32, 32], atol=0.02, rtol=0)
    assert (1.0 - colors[RED]).norm() > 1.5 * (1.0 - colors[BLUE]).norm()


def test_pictures_of_any_shape_and_size_are_taken():
    for size in ((1, 1), (8, 8), (33, 20), (96, 128)):
        rgba = without_white_fog(torch.rand(1, 3, *size), torch.rand(300, 3))
        assert rgba.shape == (1, 4, *size)
        assert rgba.min() >= 0 and rgba.max() <= 1
