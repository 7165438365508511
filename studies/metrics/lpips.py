"""How different two pictures look to people, as learnt from their judgements: LPIPS, or ST-LPIPS in its place.

    d(x, y) = sum over layers l of  mean over positions of  w_l . (f_l(x) / |f_l(x)| - f_l(y) / |f_l(y)|)^2

f_l are activations of an AlexNet, w_l learnt weights of its channels (Zhang et al. 2018). LPIPS is computed by the
`lpips` package, which needs torchvision, and by AlexNet's ImageNet weights, which are taken from torch.hub's folder and
never downloaded from here. ST-LPIPS (Ghildyal & Liu 2022) has the same formula, a network with blurred strides, and
weights of its own: its numbers are not LPIPS's and are never named so. 0 for equal pictures; smaller is better.
"""

import importlib.util
from collections import OrderedDict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .score import Unavailable

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"  # torchvision's name of it
ST_LPIPS_FILE = "weights/vST0.0/alex_shift_tolerant.pth"  # in the package stlpips_pytorch
INSTALL = "pip install stlpips-pytorch"
Distance = Float[Tensor, "view"]
Images = Float[Tensor, "view 3 h w"]


class Lpips:
    """The package's own LPIPS 0.1 (AlexNet); `alexnet` is the file of its ImageNet weights."""

    name = "LPIPS"
    note = "LPIPS 0.1, AlexNet"
    smallest = 31  # pixels

    def __init__(self, alexnet: str | Path, device: torch.device | str = "cpu") -> None:
        import lpips

        self.device = device
        # Asked for a random trunk, because for a trained one it would download.
        self.network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval().requires_grad_(False)
        weights = torch.load(alexnet, map_location="cpu", weights_only=True)
        trunk = self.network.net.state_dict()  # slice<i>.<layer>.<what> is torchvision's features.<layer>.<what>
        self.network.net.load_state_dict({key: weights["features." + key.partition(".")[2]] for key in trunk})
        self.network.to(device)

    @torch.no_grad()
    def __call__(self, images: Images, truth: Images) -> Distance:
        images, truth = images.to(self.device).float(), truth.to(self.device).float()
        return self.network(images, truth, normalize=True).flatten()


class StLpips:
    """ST-LPIPS (AlexNet) by the weights inside the package `stlpips-pytorch`.

    The package's code, which imports torchvision, is not run.
    """

    name = "ST-LPIPS"
    note = "ST-LPIPS (AlexNet) stands in for LPIPS; the two are not comparable"
    smallest = 21  # pixels

    def __init__(self, weights: str | Path, device: torch.device | str = "cpu") -> None:
        self.device = device
        self.network = _ShiftTolerantAlexNet()
        self.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, images: Images, truth: Images) -> Distance:
        images, truth = images.to(self.device).float(), truth.to(self.device).float()
        return self.network(2.0 * images - 1.0, 2.0 * truth - 1.0)


def perceptual(device: torch.device | str = "cpu") -> Lpips | StLpips | Unavailable:
    """LPIPS where all of it is on this machine; else ST-LPIPS; else the reason."""
    missing = why_no_lpips()
    if not missing:
        return Lpips(_alexnet_file(), device)
    package = importlib.util.find_spec("stlpips_pytorch")
    if package is None or not package.submodule_search_locations:
        return Unavailable(Lpips.name, f"{missing}; for ST-LPIPS instead: {INSTALL}")
    return StLpips(Path(package.submodule_search_locations[0]) / ST_LPIPS_FILE, device)


def why_no_lpips() -> str:
    """What LPIPS lacks on this machine; empty where it can be computed."""
    try:
        import lpips  # noqa: F401 (which imports torchvision; that may be there and not load)
    except Exception as error:
        return f"LPIPS needs the packages lpips and torchvision ({type(error).__name__}: {_first_line(error)})"
    if not _alexnet_file().is_file():
        return f"LPIPS needs AlexNet's ImageNet weights in {_alexnet_file()}; nothing is downloaded"
    return ""


def _alexnet_file() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET_FILE


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]


class _Blur(nn.Module):
    """Every second pixel of the picture blurred by `filt`, reflected by two pixels beyond its border."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", torch.empty(channels, 1, 3, 3))

    def forward(self, features: Float[Tensor, "view c h w"]) -> Float[Tensor, "view c bh bw"]:
        padded = nn.functional.pad(features, (2, 2, 2, 2), mode="reflect")
        return nn.functional.conv2d(padded, self.filt, stride=2, groups=features.shape[1])


class _Scaling(nn.Module):
    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.empty(1, 3, 1, 1))
        self.register_buffer("scale", torch.empty(1, 3, 1, 1))

    def forward(self, images: Images) -> Images:
        return (images - self.shift) / self.scale


class _ShiftTolerantAlexNet(nn.Module):
    """The names of its parts are those in the weights file, so that every tensor of it has to fit."""

    def __init__(self) -> None:
        super().__init__()
        self.scaling_layer = _Scaling()
        pool = nn.MaxPool2d(3, stride=1)
        slices: dict[str, OrderedDict[str, nn.Module]] = {
            "slice1": OrderedDict({"0": nn.Conv2d(3, 64, 11, padding=2), "1": _Blur(64), "2": nn.ReLU()}),
            "slice2": OrderedDict(
                {"3": pool, "4": _Blur(64), "5": nn.Conv2d(64, 192, 5, padding=2), "6": nn.ReLU()},
            ),
            "slice3": OrderedDict(
                {"7": pool, "8": _Blur(192), "9": nn.Conv2d(192, 384, 3, padding=1), "10": nn.ReLU()},
            ),
            "slice4": OrderedDict({"11": nn.Conv2d(384, 256, 3, padding=1), "12": nn.ReLU()}),
            "slice5": OrderedDict({"13": nn.Conv2d(256, 256, 3, padding=1), "14": nn.ReLU()}),
        }
        self.net = nn.ModuleDict({name: nn.Sequential(layers) for name, layers in slices.items()})
        for index, channels in enumerate((64, 192, 384, 256, 256)):
            linear = nn.Conv2d(channels, 1, 1, bias=False)
            setattr(self, f"lin{index}", nn.ModuleDict({"model": nn.Sequential(nn.Dropout(), linear)}))

    def forward(self, images: Images, truth: Images) -> Distance:
        """Pictures in [-1, 1]."""
        features, true_features = self.scaling_layer(images), self.scaling_layer(truth)
        distance = images.new_zeros(len(images))
        for index, stage in enumerate(self.net.values()):
            features, true_features = stage(features), stage(true_features)
            difference = (_unit(features) - _unit(true_features)).square()
            distance = distance + getattr(self, f"lin{index}")["model"](difference).mean(dim=(1, 2, 3))
        return distance


def _unit(features: Float[Tensor, "view c h w"]) -> Float[Tensor, "view c h w"]:
    """Of length 1 along the channels."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
