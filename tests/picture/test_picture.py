"""Whatever the picture, the object ends up centred, at its ratio, unstretched, without fringes."""

import numpy as np
import pytest
from PIL import Image

from threestudio.errors import UserError
from threestudio.picture.picture import decontaminated, prepare_picture, resample


def save_box(path, size=(200, 120), box=(20, 30, 80, 70), colour=(200, 60, 40), hidden=(0, 255, 0)):
    """A rectangle on fully transparent pixels of a hidden colour; `box` is left, top, right, bottom."""
    rgba = np.zeros((size[1], size[0], 4), dtype=np.uint8)
    rgba[..., :3] = hidden
    rgba[box[1] : box[3], box[0] : box[2]] = (*colour, 255)
    Image.fromarray(rgba).save(path)
    return path


def box_of(alpha):
    rows, columns = np.flatnonzero((alpha > 0.5).any(axis=1)), np.flatnonzero((alpha > 0.5).any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def error_of(path, **kwargs):
    with pytest.raises(UserError) as caught:
        prepare_picture(path, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("ratio", [0.5, 0.75, 1.0])
@pytest.mark.parametrize("box", [(20, 30, 80, 70), (0, 0, 40, 120), (150, 5, 199, 115)])
def test_the_larger_side_of_the_box_is_the_ratio_of_the_square_and_centred(tmp_path, ratio, box):
    path = save_box(tmp_path / "a.png", box=box)
    alpha = prepare_picture(path, ratio).at(256, 256)[..., 3].numpy()
    left, top, right, bottom = box_of(alpha)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = 256 * ratio / max(width, height)
    assert right - left == pytest.approx(width * scale, abs=2)
    assert bottom - top == pytest.approx(height * scale, abs=2)
    assert (left + right) / 2 == pytest.approx(128, abs=1) and (top + bottom) / 2 == pytest.approx(128, abs=1)


def test_hidden_colours_never_show(tmp_path):
    picture = prepare_picture(save_box(tmp_path / "a.png"))
    for size in (16, 64, 333):
        rgba = picture.at(size, size).numpy()
        visible = rgba[..., 3] > 0.1
        assert np.abs(rgba[visible][:, :3] * 255 - [200, 60, 40]).max() < 3


def test_a_soft_alpha_stays_soft(tmp_path):
    y, x = np.mgrid[0:100, 0:100]
    alpha = np.clip((45 - np.hypot(x - 50, y - 50)) / 20, 0, 1)
    rgba = np.dstack([np.full((100, 100, 3), 90), alpha * 255]).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    soft = prepare_picture(tmp_path / "a.png").rgba[..., 3]
    assert ((soft > 0.2) & (soft < 0.8)).mean() > 0.05


def test_the_square_fills_the_height_and_is_cropped_or_padded_to_the_width(tmp_path):
    picture = prepare_picture(save_box(tmp_path / "a.png", box=(20, 30, 80, 90)))
    square, wide, narrow = (picture.at(64, width)[..., 3].numpy() for width in (64, 128, 32))
    assert np.abs(wide[:, 32:96] - square).max() < 1e-5 and wide[:, :32].max() == 0
    assert np.abs(narrow - square[:, 16:48]).max() < 1e-5


def test_without_recentring_a_picture_is_only_padded_to_a_square(tmp_path):
    path = save_box(tmp_path / "a.png", size=(200, 100), box=(20, 30, 80, 70))
    assert box_of(prepare_picture(path, recenter=False).rgba[..., 3]) == (20, 80, 80, 120)


def test_specks_do_not_count_as_the_object(tmp_path):
    clean = save_box(tmp_path / "clean.png")
    rgba = np.asarray(Image.open(clean)).copy()
    rgba[115:117, 195:198] = (0, 0, 255, 255)
    Image.fromarray(rgba).save(tmp_path / "dirty.png")
    assert np.array_equal(prepare_picture(tmp_path / "dirty.png").rgba, prepare_picture(clean).rgba)


def test_two_large_parts_are_both_the_object(tmp_path):
    rgba = np.zeros((100, 200, 4), dtype=np.uint8)
    rgba[40:60, 20:40] = rgba[40:60, 160:180] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    left, _, right, _ = box_of(prepare_picture(tmp_path / "a.png", 1.0).rgba[..., 3])
    assert right - left == 160


def test_an_opaque_alpha_counts_as_no_alpha(tmp_path, caplog):
    rgba = np.full((100, 100, 4), 255, dtype=np.uint8)
    rgba[30:70, 30:70, :3] = (200, 60, 40)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    left, top, right, bottom = box_of(prepare_picture(tmp_path / "a.png", 0.5).at(80, 80)[..., 3].numpy())
    assert abs(right - left - 40) <= 2 and abs(bottom - top - 40) <= 2
    assert "cut out by GrabCut" in caplog.text


def test_a_transparent_image_is_rejected_by_name(tmp_path):
    path = tmp_path / "mug.png"
    Image.new("RGBA", (50, 50), (10, 20, 30, 0)).save(path)
    assert error_of(path) == f"{path}: fully transparent; no pixel has alpha above 0.5"


def test_a_tiny_picture_and_a_tiny_object_are_rejected(tmp_path):
    need = "at least 16 are needed on the longer side"
    one = tmp_path / "one.png"
    Image.new("RGB", (1, 1)).save(one)
    assert error_of(one) == f"{one}: the picture is 1 x 1 pixels; {need}"
    small = save_box(tmp_path / "small.png", box=(20, 30, 28, 35))
    assert error_of(small) == f"{small}: the object is 8 x 5 pixels; {need}"


def test_a_ratio_that_cannot_be_is_rejected(tmp_path):
    path = save_box(tmp_path / "a.png")
    assert error_of(path, object_ratio=1.5) == "data.object_ratio: 1.5 is not within 0.1 and 1"


def test_a_very_wide_picture_works(tmp_path):
    save_box(tmp_path / "a.png", size=(20_000, 300), box=(9000, 20, 12_000, 280))
    left, top, right, bottom = box_of(prepare_picture(tmp_path / "a.png").at(256, 256)[..., 3].numpy())
    assert right - left == pytest.approx(192, abs=2)
    assert bottom - top == pytest.approx(192 * 260 / 3000, abs=3)


def test_a_companion_is_cut_like_the_picture(tmp_path):
    path = save_box(tmp_path / "a.png", box=(20, 30, 80, 90))
    depth = np.zeros((60, 100), dtype=np.uint16)
    depth[15:45, 10:40] = 65535
    Image.fromarray(depth).save(tmp_path / "depth.png")
    picture = prepare_picture(path)
    aligned = picture.aligned(tmp_path / "depth.png", 64, 64)[..., 0]
    assert ((aligned > 0.5) == (picture.at(64, 64)[..., 3] > 0.5)).float().mean() > 0.99


def test_a_saved_picture_is_the_prepared_one(tmp_path):
    picture = prepare_picture(save_box(tmp_path / "a.png"))
    picture.save(tmp_path / "input.png")
    assert np.abs(np.asarray(Image.open(tmp_path / "input.png")) / 255 - picture.rgba).max() < 0.003


@pytest.mark.parametrize("hard_mask", [False, True])
def test_an_outline_takes_the_colour_of_the_object_next_to_it(hard_mask):
    """A red disc whose rim carries the white it was photographed on."""
    y, x = np.mgrid[0:128, 0:128]
    distance = np.hypot(x - 64, y - 64)
    alpha = (distance < 50).astype(float) if hard_mask else np.clip((52 - distance) / 4, 0, 1)
    whiteness = np.clip((distance - 48) / 4, 0, 1)[..., None]
    colours = (1 - whiteness) * (1.0, 0.0, 0.0) + whiteness
    rgba = np.dstack([colours, alpha]).astype(np.float32)
    rim = (alpha > 0.3) & (distance > 48)
    before, after = rgba[rim][:, 1], decontaminated(rgba, hard_mask)[rim][:, 1]
    assert after.mean() < 0.75 * before.mean()


def test_a_thin_soft_feature_keeps_its_own_colour():
    rgba = np.zeros((128, 128, 4), dtype=np.float32)
    rgba[60:62, 40:90] = (0.1, 0.2, 0.8, 0.6)
    assert np.allclose(decontaminated(rgba, hard_mask=False)[60:62, 40:90], rgba[60:62, 40:90], atol=1e-6)


def test_resampling_the_whole_picture_to_its_own_size_changes_nothing():
    values = np.random.default_rng(0).random((9, 7, 4)).astype(np.float32)
    assert np.allclose(resample(values, (0.0, 0.0, 7.0, 9.0), 9, 7), values, atol=1e-6)
