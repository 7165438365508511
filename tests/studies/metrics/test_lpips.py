import sys
from types import ModuleType
from unittest.mock import MagicMock

import pytest
import torch
from torch import nn

import studies.metrics.lpips as module
from studies.metrics import Lpips, StLpips, Unavailable, perceptual, score


def pictures(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(3, 3, size, size)
    images = torch.rand(3, 3, size, size)
    images[1] = 0.8 * truth[1]
    images[2] = truth[2]
    return images, truth


@pytest.fixture
def no_lpips(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)  # makes `import lpips` fail


@pytest.fixture
def original(monkeypatch):
    """The package's own module, whose imports of torchvision and others are not used for this network."""
    for name in ("torchvision", "torchvision.models", "torchsummary", "IPython"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    from stlpips_pytorch import stlpips

    yield stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    for name in [name for name in sys.modules if name.startswith("stlpips_pytorch")]:
        del sys.modules[name]


@pytest.mark.parametrize("size", [64, 65])
def test_st_lpips_without_torchvision_is_what_the_original_computes(no_lpips, original, size):
    images, truth = pictures(size)
    expected = original(images, truth, normalize=True).flatten().tolist()
    assert perceptual()(images, truth).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert expected[0] > 0.01


def test_equal_pictures_are_at_distance_0(no_lpips):
    images, truth = pictures()
    first, second, third = perceptual()(images, truth).tolist()
    assert third == 0 < second < first


def test_pictures_that_are_too_small_for_the_network_get_no_number(no_lpips):
    metric = perceptual()
    small, enough = (pictures(metric.smallest - less) for less in (1, 0))
    assert score(metric, *enough).value > 0
    assert score(metric, *small).reason == "it needs pictures of at least 21 px, these have 20"
    with pytest.raises(RuntimeError, match="Padding"):
        metric(*small)


def test_what_stands_in_for_lpips_is_not_called_lpips(no_lpips):
    metric = perceptual()
    assert isinstance(metric, StLpips)
    assert metric.name == "ST-LPIPS" and "not comparable" in metric.note


def test_without_any_weights_the_reason_says_what_to_install(no_lpips, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    metric = perceptual()
    assert isinstance(metric, Unavailable) and metric.name == "LPIPS"
    assert "lpips and torchvision" in metric.reason and "pip install stlpips-pytorch" in metric.reason


class StandIn(nn.Module):
    """lpips.LPIPS where lpips and torchvision are installed: a trunk in five slices, here one layer in all."""

    def __init__(self, net: str, pnet_rand: bool, verbose: bool) -> None:
        super().__init__()
        assert net == "alex" and pnet_rand, "a trained trunk would be downloaded"
        self.net = nn.ModuleDict({"slice1": nn.Sequential(nn.Conv2d(3, 2, 1)), "slice2": nn.Sequential()})

    def forward(self, images, truth, normalize):
        assert normalize, "pictures are in [0, 1]"
        difference = self.net["slice1"](images) - self.net["slice1"](truth)
        return difference.square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def lpips_installed(monkeypatch, tmp_path):
    package = ModuleType("lpips")
    package.LPIPS = StandIn
    monkeypatch.setitem(sys.modules, "lpips", package)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    file = tmp_path / "checkpoints" / module.ALEXNET_FILE
    file.parent.mkdir()
    return file


def test_lpips_runs_on_the_alexnet_that_is_on_disk(lpips_installed):
    weights = {"features.0.weight": torch.full((2, 3, 1, 1), 2.0), "features.0.bias": torch.zeros(2)}
    torch.save({**weights, "classifier.1.weight": torch.zeros(1)}, lpips_installed)
    metric = perceptual()
    assert isinstance(metric, Lpips) and metric.name == "LPIPS"
    images, truth = pictures()
    expected = (2 * (images - truth).sum(1)).square().mean(dim=(1, 2))
    assert torch.allclose(metric(images, truth), expected, rtol=1e-4)


def test_lpips_without_alexnet_s_weights_downloads_nothing(lpips_installed):
    assert isinstance(perceptual(), StLpips)
    assert str(lpips_installed) in module.why_no_lpips() and "nothing is downloaded" in module.why_no_lpips()
