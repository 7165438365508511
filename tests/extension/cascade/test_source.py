import pytest
import torch
from cascade_zero123.cascade.source import as_model_sees, centred, object_ratio, read_rgba
from cascade_zero123.common.errors import UserError
from PIL import Image


def rectangle(height=20, width=30):
    rgba = torch.zeros(height, width, 4)
    rgba[2:8, 3:13] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    return rgba


def test_the_object_comes_to_the_middle_at_the_ratio_unstretched():
    square = centred(rectangle(), 0.5)
    assert square.shape[:2] == (20, 20)
    opaque = square[..., 3] > 0.5
    assert opaque.sum() == 6 * 10
    assert opaque[7:13, 5:15].all()
    assert object_ratio(square) == 0.5


def test_what_is_transparent_becomes_white():
    image = as_model_sees(rectangle(), 10, 3)
    assert image.shape == (1, 3, 10, 10)
    torch.testing.assert_close(image[0, :, -1, -1], torch.ones(3))


def test_a_transparent_picture_is_refused():
    with pytest.raises(UserError, match="fully transparent"):
        object_ratio(torch.zeros(4, 4, 4))


def test_a_picture_that_is_none_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"cat\.png: no such picture"):
        read_rgba(tmp_path / "cat.png")
    (tmp_path / "cat.png").write_text("no")
    with pytest.raises(UserError, match=r"cat\.png: not a readable picture"):
        read_rgba(tmp_path / "cat.png")


def test_a_picture_without_alpha_is_opaque(tmp_path):
    Image.new("RGB", (4, 3), (255, 0, 0)).save(tmp_path / "a.png")
    torch.testing.assert_close(read_rgba(tmp_path / "a.png"), torch.tensor([1.0, 0, 0, 1]).expand(3, 4, 4))
