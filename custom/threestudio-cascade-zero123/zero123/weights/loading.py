"""Zero-1-to-3 weights from wherever they are: the one way in.

    load/cascade-zero123-tiny/base     a folder in diffusers' layout           diffusers_folder.py
    load/zero123/zero123-xl.ckpt       a checkpoint as published, one file     ldm_checkpoint.py
    hub:ashawkey/zero123-xl-diffusers  a folder on the hub                     hub.py

Nothing in a file is executed (torch_pickle.py). Every tensor is checked, and an error names the file and its first bad
key. No more memory is taken than the weights need in the precision that they are wanted in (stored_tensor.py).
"""

import math
import re
import shlex
from pathlib import Path

import torch

import threestudio

from ...common.errors import UserError
from ...common.files import read_json, regular_file
from ...common.project import advice, has_script
from ..model import Zero123
from ..pose import POSE_TOKENS
from .diffusers_folder import SETTINGS, folder_files, load_folder, save_zero123
from .hub import FILE_SUFFIXES, HUB, hub_folder, looks_like_hub_id
from .ldm_checkpoint import load_ldm
from .stored_tensor import Wanted

__all__ = ["announce", "load_zero123", "model_folder", "save_zero123", "weights_files"]

CHECKOUT = Path(__file__).resolve().parents[4]  # the folder with load/, in either host
STABLE_ZERO123 = re.compile(r"(?<![a-z])stable[-_ ]?zero[-_ ]?123", re.IGNORECASE)
ZERO123 = re.compile(r"zero[-_ ]?123", re.IGNORECASE)
WORTH_CONVERTING = 1 << 30  # bytes of a single file


def load_zero123(
    path: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = torch.float32,
    *,
    config: str | None = None,
    pose_token: str | None = None,
    channels_last: bool = False,
) -> Zero123:
    """The model in `path`, frozen, in evaluation mode, on `device` in `dtype` (None: as stored).

    `channels_last` is the layout of the U-Net's and the autoencoder's convolutions, which are read into it. `config` is
    the LDM YAML of a single-file checkpoint of other widths than the published ones; `pose_token` (one of
    pose.POSE_TOKENS) overrules what the weights' name or settings say. Both may be None or empty.
    """
    place = located(path)
    if pose_token and pose_token not in POSE_TOKENS:
        raise UserError(f'{path}: pose_token "{pose_token}"; known are {", ".join(POSE_TOKENS)}')
    wanted = Wanted(dtype, device, channels_last)
    if place.is_file():
        model = load_ldm(place, config, wanted)
    elif config:
        raise UserError(f"{config}: {path} is a folder, which has its own configuration; leave `config` out")
    else:
        model = load_folder(place, wanted)
    _check_that_parts_fit(place, model)
    model.settings.pose_token = pose_token or _pose_token(place, model.settings.pose_token)
    return model.eval().requires_grad_(False)


def announce(path: str | Path, model: Zero123, config: str | None = None) -> None:
    """What a user should know of weights just loaded: how they count poses, and whether converting them would pay."""
    threestudio.info(f"{path}: pose token {model.settings.pose_token}")
    if Path(path).is_file() and Path(path).stat().st_size >= WORTH_CONVERTING:
        _offer_conversion(Path(path), model, config)


def weights_files(path: str | Path, config: str | None = None) -> list[Path]:
    """All files that decide what the model in `path` computes; a `pose_token` given beside them decides too."""
    place = located(path)
    return ([place] if place.is_file() else folder_files(place)) + ([Path(config)] if config else [])


def located(path: str | Path) -> Path:
    """The file or folder that `path` names, fetched from the hub if it is an id; else one line on what to give."""
    if str(path).startswith(HUB):
        return hub_folder(str(path).removeprefix(HUB))
    place = Path(path)
    if not place.exists() and not place.is_absolute() and (CHECKOUT / place).exists():
        place = CHECKOUT / place  # what ships with the project is found from any folder
    return place if place.is_file() else model_folder(place)


def model_folder(path: str | Path) -> Path:
    """`path` if it is a folder with a model; else one line on what it is and what to give instead."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        regular_file(folder)
    if not folder.exists() and looks_like_hub_id(str(path)):
        raise UserError(f"{folder}: no such folder of Zero-1-to-3 weights; a model of the hub is written {HUB}{path}")
    if folder.suffix in FILE_SUFFIXES and not folder.exists():
        raise UserError(f"{folder}: no such file of Zero-1-to-3 weights; {_where_from('fetches them')}")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of Zero-1-to-3 weights; {_where_from('fetches published ones')}")
    if not (folder / "unet").is_dir():
        inside = [folder / name for name in ("base", "refiner") if (folder / name / "unet").is_dir()]
        inside += [file for file in sorted(folder.iterdir()) if file.suffix in FILE_SUFFIXES]
        advice = f"name the model in it: {inside[0]}" if inside else "expected unet/, vae/, ... in it"
        raise UserError(f"{folder}: not a Zero-1-to-3 model; {advice}")
    return folder


def _where_from(does: str) -> str:
    return advice("download_weights.py", does, "name a checkpoint or a folder that is there, or copy one to this place")


def _pose_token(place: Path, stated: str) -> str:
    """As our layout's settings state it; the published files say it by their name, the hub's cache by the folder's."""
    if (place / SETTINGS).exists() and "pose_token" in read_json(place / SETTINGS):
        if stated not in POSE_TOKENS:
            raise UserError(f'{place / SETTINGS}: pose_token "{stated}"; known are {", ".join(POSE_TOKENS)}')
        return stated
    return pose_token_by_name(place, stated)


def pose_token_by_name(place: Path, otherwise: str = POSE_TOKENS[0]) -> str:
    """What the name of published weights says, or else their folder's; of links also what they lead to."""
    paths = (place.absolute(), place.resolve())
    names = [path.name for path in paths] + [path.parent.name for path in paths]
    names += [part for part in place.parts if part.startswith("models--")]  # the hub's cache
    name = next((name for name in names if ZERO123.search(name)), "")
    return "stable-zero123" if STABLE_ZERO123.search(name) else otherwise


def _check_that_parts_fit(place: Path, model: Zero123) -> None:
    """Parts of different models load each for itself, and would fail, or err silently, when they meet."""
    unet, projection = model.unet.config, model.cc_projection
    embedding = model.image_encoder.config.projection_dim + 4
    factor = model.vae.config.scaling_factor
    if not isinstance(factor, (int, float)) or not 0 < factor < math.inf:
        raise UserError(f"{place}: the autoencoder's scaling_factor is {factor}, expected a number above 0")
    for what, found, expected in (
        ("cc_projection takes", projection.in_features, embedding),
        ("cc_projection gives", projection.out_features, unet.cross_attention_dim),
        ("the U-Net takes", unet.in_channels, 2 * model.vae.config.latent_channels),
        ("the U-Net gives", unet.out_channels, model.vae.config.latent_channels),
    ):
        if found != expected:
            raise UserError(f"{place}: {what} {found} channels, expected {expected}; its parts are of different models")
    side, shrinks = unet.sample_size, model.pixels_a_latent
    if not isinstance(side, int) or side * shrinks != model.settings.image_size:
        raise UserError(
            f"{place}: the U-Net's latents have a side of {side} and are of pictures {shrinks} times as large, not of "
            f"{model.settings.image_size} px; its parts are of different models"
        )


def _offer_conversion(file: Path, model: Zero123, config: str | None) -> None:
    kept = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    dtype = str(model.unet.dtype).removeprefix("torch.")
    gain = "" if dtype == "float32" else ", and load it faster"
    folder = file.with_suffix("") if file.suffix in FILE_SUFFIXES else file.with_name(file.name + "-folder")
    if folder.exists() or not has_script("convert_checkpoint.py"):
        return
    options = [] if dtype == "float32" else ["--dtype", dtype]
    options += ["--config", config] if config else []
    token = model.settings.pose_token
    options += ["--pose-token", token] if token != pose_token_by_name(file) else []
    command = shlex.join(["python", "scripts/convert_checkpoint.py", str(file), str(folder), *options])
    threestudio.info(
        f"{file} has {file.stat().st_size / 1e9:.1f} GB, the model in it {kept / 1e9:.1f} GB. "
        f"To keep that alone{gain}: {command}"
    )
