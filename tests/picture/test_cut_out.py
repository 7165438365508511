"""A plain background goes, a busy one is refused, and rembg is asked for only by name."""

import importlib.util
import sys
import types

import cv2
import numpy as np
import pytest

from threestudio.errors import UserError
from threestudio.picture.cut_out import cut_out

SIZE = 200
ADVICE = "cut the object out and save it as a PNG with transparency, or set data.background_removal=rembg"


def disc(background, colour=(200, 60, 40), radius=60, centre=(100, 100)):
    """An antialiased disc, and its true alpha."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    alpha = np.clip(radius + 0.5 - np.hypot(x - centre[0], y - centre[1]), 0, 1)[..., None]
    return (alpha * np.array(colour) + (1 - alpha) * background).round().astype(np.uint8), alpha[..., 0]


def plain(colour):
    return np.broadcast_to(np.array(colour, dtype=float), (SIZE, SIZE, 3))


def iou(alpha, truth):
    found, expected = alpha > 127, truth > 0.5
    return (found & expected).sum() / (found | expected).sum()


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (90, 140, 90)])
def test_an_object_on_a_plain_background_is_cut_out_with_its_soft_outline(background, caplog):
    rgb, truth = disc(plain(background))
    alpha = cut_out("mug.jpg", rgb)[..., 3]
    assert iou(alpha, truth) > 0.98
    assert np.abs(alpha / 255.0 - truth).mean() < 0.01
    assert (
        "mug.jpg: has no transparency; its plain background was cut out by GrabCut, look at the result" in caplog.text
    )


def test_noise_and_studio_shading_still_count_as_plain():
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    shading = 235 - 50 * ((x - 100) ** 2 + (y - 60) ** 2) / 20_000
    rgb, truth = disc(np.repeat(shading[..., None], 3, axis=-1), colour=(40, 60, 160))
    noisy = np.clip(rgb + np.random.default_rng(0).normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)
    assert iou(cut_out("mug.jpg", noisy)[..., 3], truth) > 0.97


def test_an_object_that_touches_the_edge_is_kept_up_to_it():
    rgb, truth = disc(plain((255, 255, 255)), centre=(100, 170))
    assert iou(cut_out("mug.jpg", rgb)[..., 3], truth) > 0.97


def test_a_hole_is_cut_and_a_bright_belly_is_not():
    rgb, _ = disc(plain((255, 255, 255)), radius=80)
    hole, belly = (70, 100), (130, 100)
    cv2.circle(rgb, hole, 20, (255, 255, 255), -1)
    cv2.circle(rgb, belly, 20, (236, 232, 240), -1)
    alpha = cut_out("mug.jpg", rgb)[..., 3]
    assert alpha[hole[1], hole[0]] == 0
    assert alpha[belly[1], belly[0]] == 255


def test_a_large_picture_is_scaled_down_without_stretching():
    rgb, _ = disc(plain((255, 255, 255)))
    large = cv2.resize(rgb, (3000, 1500))
    assert cut_out("mug.jpg", large).shape == (512, 1024, 4)


def test_a_busy_background_is_refused_in_one_line():
    busy = np.random.default_rng(0).integers(0, 256, (10, 10, 3)).astype(np.float32)
    rgb, _ = disc(cv2.resize(busy, (SIZE, SIZE)))
    with pytest.raises(UserError) as caught:
        cut_out("mug.jpg", rgb)
    message = str(caught.value)
    assert message.startswith("mug.jpg: opaque with a busy background (only ")
    assert message.endswith(f"% of its border has the background's colour); {ADVICE}")


@pytest.mark.parametrize("thing", ["a second disc at the border", "a photograph between bars"])
def test_a_scene_with_a_plain_border_is_refused(thing):
    if thing == "a photograph between bars":
        rgb = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
        busy = np.random.default_rng(0).integers(60, 256, (10, 10, 3)).astype(np.float32)
        rgb[60:140] = cv2.resize(busy, (SIZE, 80))
    else:
        rgb, _ = disc(plain((255, 255, 255)))
        cv2.circle(rgb, (5, 195), 20, (30, 60, 160), -1)
    with pytest.raises(UserError) as caught:
        cut_out("mug.jpg", rgb)
    message = str(caught.value)
    assert message.startswith("mug.jpg: opaque with a busy background (") and message.endswith(f"); {ADVICE}")


def test_a_pattern_near_the_outline_makes_no_holes():
    rgb, _ = disc(plain((255, 255, 255)), radius=80)
    for angle in np.linspace(0, 2 * np.pi, 40, endpoint=False):
        cv2.circle(rgb, (round(100 + 74 * np.cos(angle)), round(100 + 74 * np.sin(angle))), 2, (220, 200, 200), -1)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    assert cut_out("mug.jpg", rgb)[..., 3][np.hypot(x - 100, y - 100) < 77].min() > 200


def test_a_blank_picture_is_refused():
    with pytest.raises(UserError) as caught:
        cut_out("mug.jpg", plain((250, 250, 250)).astype(np.uint8))
    assert str(caught.value) == f"mug.jpg: opaque, and no object stands out from its background; {ADVICE}"


def test_the_same_picture_is_cut_out_the_same_way_twice():
    rgb, _ = disc(plain((230, 230, 230)))
    assert np.array_equal(cut_out("mug.jpg", rgb), cut_out("mug.jpg", rgb))


def test_an_unknown_method_is_named():
    with pytest.raises(UserError) as caught:
        cut_out("mug.jpg", disc(plain((255, 255, 255)))[0], method="magic")
    assert str(caught.value) == 'data.background_removal: "magic" is unknown; take one of grabcut, rembg, u2netp'


@pytest.mark.skipif(importlib.util.find_spec("rembg") is not None, reason="rembg is installed")
def test_rembg_that_is_not_installed_says_how_to_install_it():
    with pytest.raises(UserError) as caught:
        cut_out("mug.jpg", disc(plain((255, 255, 255)))[0], method="rembg")
    need = 'data.background_removal=rembg needs rembg, which is not installed; pip install "rembg[cpu]"'
    assert str(caught.value) == f"mug.jpg: {need}"


def test_rembg_says_what_it_downloads_before_it_runs(monkeypatch, tmp_path, caplog):
    rgb, truth = disc(plain((255, 255, 255)))
    alpha = (truth * 255).astype(np.uint8)
    rembg = types.ModuleType("rembg")
    rembg.__spec__ = importlib.util.spec_from_loader("rembg", loader=None)

    def remove(picture, session):
        assert "rembg downloads u2net.onnx (176 MB) from https://github.com/danielgatis/rembg/releases" in caplog.text
        return np.dstack([picture, alpha])

    rembg.new_session, rembg.remove = lambda model: model, remove
    monkeypatch.setitem(sys.modules, "rembg", rembg)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    assert np.array_equal(cut_out("mug.jpg", rgb, method="rembg")[..., 3], alpha)


def test_a_failed_download_of_rembg_is_one_line(monkeypatch, tmp_path):
    rembg = types.ModuleType("rembg")
    rembg.__spec__ = importlib.util.spec_from_loader("rembg", loader=None)

    def offline(model):
        raise ConnectionError("no route to host")

    rembg.new_session = offline
    monkeypatch.setitem(sys.modules, "rembg", rembg)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    with pytest.raises(UserError) as caught:
        cut_out("mug.jpg", disc(plain((255, 255, 255)))[0], method="rembg")
    assert str(caught.value) == f"mug.jpg: rembg got no u2net.onnx (no route to host); put it into {tmp_path}"
