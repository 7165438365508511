"""What is no part of the object although it is no background either: painted boards, shadows, frames of alpha."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from threestudio.errors import UserError
from threestudio.picture.picture import prepare_picture
from threestudio.picture.read_picture import read_picture
from threestudio.picture.transparency import is_cut_out, is_premultiplied

RED, GREY = (200, 60, 30), (150, 150, 150)


def ball(side):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(x, y) < 0.3 * side


def board(side, square, greys=(204, 255)):
    y, x = np.floor(np.mgrid[:side, :side] / square).astype(int)
    return np.where((x + y) % 2, greys[1], greys[0]).astype(np.uint8)[..., None].repeat(3, axis=2)


def overlap(path, picture, truth):
    """Intersection over union of the cut-out with the truth, both framed alike."""
    Image.fromarray(picture).save(path)
    cut = prepare_picture(path).rgba[..., 3] > 0.5
    Image.fromarray(np.dstack([picture[..., :3], truth.astype(np.uint8) * 255])).save(path)
    true = prepare_picture(path).rgba[..., 3] > 0.5
    cut = cv2.resize(cut.astype(np.uint8), true.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return (cut & true).sum() / (cut | true).sum()


@pytest.mark.parametrize("side, square", [(32, 1), (32, 4), (64, 8), (300, 12.5), (512, 16), (1100, 20)])
@pytest.mark.parametrize("greys", [(204, 255), (102, 153)])
def test_a_painted_checkerboard_is_cut_away(tmp_path, caplog, side, square, greys):
    picture = board(side, square, greys)
    picture[ball(side)] = RED
    assert overlap(tmp_path / "a.png", picture, ball(side)) > (0.9 if side < 64 else 0.96)
    assert "its painted checkerboard was cut out" in caplog.text


def test_a_checkerboard_with_the_noise_of_jpeg_is_still_one(tmp_path):
    picture = board(256, 16)
    picture[ball(256)] = RED
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=80)
    with Image.open(tmp_path / "a.jpg") as stored:
        assert overlap(tmp_path / "a.png", np.asarray(stored), ball(256)) > 0.96


def test_a_chessboard_of_colours_is_a_scene(tmp_path):
    picture = board(128, 16)
    picture[picture[..., 0] == 204] = (30, 120, 40)
    picture[ball(128)] = RED
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="opaque with a busy background"):
        prepare_picture(tmp_path / "a.png")


def on_white_with_shadow(side, color):
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    shadow = 0.6 * np.exp(-((((x - 0.5) / 0.3) ** 2 + ((y - 0.8) / 0.05) ** 2) ** 2))
    picture = 255 * (1 - cv2.GaussianBlur(shadow, (0, 0), 0.015 * side))[..., None].repeat(3, axis=2)
    shade = 1 - 0.6 * (x - 0.5)[..., None]
    picture = np.where(ball(side)[..., None], shade * np.array(color), picture)
    return cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.6).clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("side", [128, 400])
def test_a_contact_shadow_is_cut_off_a_coloured_object_and_said(tmp_path, caplog, side):
    assert overlap(tmp_path / "a.png", on_white_with_shadow(side, RED), ball(side)) > 0.97
    assert "of the object's pixels were its shadow and were cut off" in caplog.text


def test_a_shadow_that_cannot_be_told_from_a_grey_object_is_said(tmp_path, caplog):
    picture = on_white_with_shadow(200, GREY)
    assert overlap(tmp_path / "a.png", picture, ball(200)) > 0.8
    assert "a.png: the object is as grey as shadows are; if it has one below it, cut it out yourself" in caplog.text


def test_an_object_without_a_shadow_loses_nothing(tmp_path, caplog):
    picture = np.where(ball(200)[..., None], np.uint8(RED), np.uint8(255))
    assert overlap(tmp_path / "a.png", picture, ball(200)) > 0.99
    assert "shadow" not in caplog.text


def test_a_drop_shadow_of_a_cut_out_is_cleared_and_said(tmp_path, caplog):
    shadow = cv2.GaussianBlur(np.roll(ball(256), (15, 15), (0, 1)).astype(np.float32), (0, 0), 5) * 0.6
    picture = np.zeros((256, 256, 4), np.uint8)
    picture[ball(256), :3] = RED
    picture[..., 3] = 255 * np.maximum(shadow, ball(256))
    assert overlap(tmp_path / "a.png", picture, ball(256)) > 0.98
    assert "a translucent black shadow, which was cleared" in caplog.text


def rounded(side, radius):
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, side - 1, side - 1), radius, fill=255)
    return np.asarray(mask)


def one_clear(side):
    alpha = np.full((side, side), 255, np.uint8)
    alpha[0, 0] = 0
    return alpha


NO_CUT_OUTS = {
    "rounded corners": rounded(200, 40),
    "one clear pixel": one_clear(200),
    "250 everywhere": np.full((200, 200), 250, np.uint8),
    "110 everywhere": np.full((200, 200), 110, np.uint8),
}


@pytest.mark.parametrize("alpha", NO_CUT_OUTS.values(), ids=NO_CUT_OUTS)
def test_alpha_that_covers_nearly_all_is_no_cut_out(tmp_path, caplog, alpha):
    plain = np.where(ball(200)[..., None], np.uint8(RED), np.uint8(255))
    picture = np.dstack([plain, alpha])
    assert not is_cut_out(alpha)
    assert overlap(tmp_path / "a.png", picture, ball(200)) > 0.98
    assert "of it are equally opaque, which is no cut-out; it is taken as opaque" in caplog.text


def test_a_photograph_with_rounded_corners_is_refused_and_not_printed_on_a_block(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(np.dstack([cv2.GaussianBlur(noise, (0, 0), 3), rounded(200, 20)])).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="opaque"):
        prepare_picture(tmp_path / "a.png")


def test_an_object_that_fills_its_picture_is_a_cut_out():
    assert is_cut_out(np.pad(np.full((180, 120), 255, np.uint8), ((4, 4), (10, 10))))
    assert is_cut_out((ball(64) * 255).astype(np.uint8))


def test_what_is_nowhere_opaque_is_called_by_its_alpha(tmp_path):
    picture = np.dstack([np.full((64, 64, 3), 90, np.uint8), (ball(64) * 110).astype(np.uint8)])
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="the most opaque pixel has alpha 0.43; no pixel has alpha above 0.5"):
        prepare_picture(tmp_path / "a.png")


def soft_ball(premultiplied):
    alpha = cv2.GaussianBlur(ball(200).astype(np.float32), (0, 0), 3)
    colors = np.array(RED) * (alpha[..., None] if premultiplied else np.ones_like(alpha)[..., None])
    picture = np.dstack([colors, 255 * alpha]).round().astype(np.uint8)
    picture[picture[..., 3] == 0] = 0
    return picture


@pytest.mark.parametrize("side", [4096, 150])
def test_a_premultiplied_picture_has_no_dark_halo(tmp_path, caplog, side):
    rims = []
    for premultiplied in (False, True):
        Image.fromarray(soft_ball(premultiplied)).save(tmp_path / "a.png")
        rgba = read_picture(tmp_path / "a.png", longest_side=side)
        rim = (rgba[..., 3] > 50) & (rgba[..., 3] < 200)
        rims.append(rgba[rim, :3].mean(axis=0))
    assert np.abs(rims[0] - rims[1]).max() < 4
    assert caplog.text.count("its colours are multiplied by alpha already") == 1


def test_a_dark_object_with_straight_alpha_stays():
    dark = soft_ball(False)
    dark[..., :3] //= 4
    assert not is_premultiplied(dark) and is_premultiplied(soft_ball(True))


def test_a_palette_is_brought_from_its_colour_profile_to_srgb(tmp_path):
    """With one that swaps nothing but the curve: what it does to RGB it does to a palette."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    picture = Image.new("RGB", (32, 32), (60, 120, 30))
    converted = []
    for image in (picture, picture.quantize(16)):
        image.save(tmp_path / "a.png", icc_profile=profile)
        converted.append(read_picture(tmp_path / "a.png")[16, 16, :3].astype(int))
    assert np.abs(converted[0] - converted[1]).max() <= 1
