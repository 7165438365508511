"""From how high a picture was taken, and what becomes of the word `auto`."""

import numpy as np
import pytest
import torch
from tiny_zero123 import ball_picture

from threestudio.elevation import elevation_of
from threestudio.elevation.estimate import Elevation, framed, summary
from threestudio.elevation.network import CENTRES_DEG, OBJECT_RATIO, SIZE, ElevationNetwork
from threestudio.elevation.setting import with_elevation
from threestudio.elevation.weights import BUNDLED, load_elevation_network, save_elevation_network
from threestudio.errors import UserError
from threestudio.utils.config import load_config


def test_the_median_is_the_elevation_and_the_middle_two_thirds_its_spread():
    sure = np.zeros(len(CENTRES_DEG), np.float32)
    sure[CENTRES_DEG.index(20.0)] = 1.0
    assert summary(sure).deg == pytest.approx(20.0) and summary(sure).spread_deg < 2.5
    unsure = np.full(len(CENTRES_DEG), 1 / len(CENTRES_DEG), np.float32)
    assert summary(unsure).deg == pytest.approx(25.0) and summary(unsure).spread_deg > 25


def test_it_says_how_sure_it_is():
    assert str(Elevation(12.4, 3.0)) == "12 degrees, give or take 3 (sure)"
    assert "(fairly sure)" in str(Elevation(12.4, 10.0)) and "(not sure at all)" in str(Elevation(12.4, 20.0))


def test_a_picture_is_framed_by_its_object_whatever_its_size_and_place():
    rgba = np.zeros((300, 200, 4), np.float32)
    rgba[40:140, 20:70] = (1.0, 0.5, 0.0, 1.0)
    seen = framed(rgba)
    rows, columns = np.flatnonzero((seen[3] > 0.5).any(dim=1)), np.flatnonzero((seen[3] > 0.5).any(dim=0))
    assert seen.shape == (4, SIZE, SIZE)
    assert len(rows) == OBJECT_RATIO * SIZE and len(columns) == OBJECT_RATIO * SIZE / 2
    assert rows[0] + rows[-1] == SIZE - 1 and columns[0] + columns[-1] == SIZE - 1


def test_a_mirrored_picture_has_the_same_elevation():
    rgba = ball_picture().numpy()
    rgba[: len(rgba) // 2, : len(rgba) // 3, :3] = 0.1
    assert elevation_of(rgba[:, ::-1].copy()).deg == pytest.approx(elevation_of(rgba).deg, abs=1e-3)


def test_the_demo_pictures_taken_from_10_degrees_are_found_to_be_within_their_spread():
    from threestudio.look import look_at

    for name in ("cat", "bird", "teapot"):
        found = look_at(f"load/images/{name}.png", {}).elevation
        assert abs(found.deg - 10.0) <= max(8.0, 1.5 * found.spread_deg), (name, found)


def test_weights_are_small_come_back_as_they_were_written_and_others_are_named(tmp_path):
    assert BUNDLED.stat().st_size < 1_000_000
    torch.manual_seed(1)
    network = ElevationNetwork()
    save_elevation_network(network, tmp_path / "a.safetensors")
    again = load_elevation_network(tmp_path / "a.safetensors")
    rgba = torch.rand(2, 4, SIZE, SIZE)
    assert torch.allclose(again(rgba), network(rgba), atol=0.05)
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not the elevation network's weights"):
        load_elevation_network(tmp_path / "b.safetensors")
    with pytest.raises(UserError, match="not found; say data.default_elevation_deg=<degrees>"):
        load_elevation_network(tmp_path / "c.safetensors")


CONFIG = """
data: {image_path: load/images/cat.png, default_elevation_deg: auto, random_camera: {eval_elevation_deg: 15.0}}
system: {guidance: {cond_elevation_deg: "${data.default_elevation_deg}"}}
"""


def test_auto_becomes_a_number_wherever_it_is_referred_to():
    def reload(more=()):
        return load_config(CONFIG, from_string=True, cli_args=["tag=a", *more])

    cfg = with_elevation(reload(), reload)
    assert -20 < cfg.data.default_elevation_deg < 70
    assert cfg.system.guidance.cond_elevation_deg == cfg.data.default_elevation_deg


def test_an_elevation_that_is_said_is_not_looked_for(monkeypatch):
    monkeypatch.setattr("threestudio.look.look_at", None)
    cfg = load_config(CONFIG, from_string=True, cli_args=["tag=a", "data.default_elevation_deg=33"])
    assert with_elevation(cfg, lambda more: None) is cfg
