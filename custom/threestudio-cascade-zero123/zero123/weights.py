"""Zero-1-to-3 weights as a folder in diffusers' layout: JSON and safetensors, so loading executes nothing.

    unet/ vae/ image_encoder/   config.json + *.safetensors        scheduler/scheduler_config.json
    cc_projection/              model.safetensors (weight, bias)   zero123.json (`Settings`)

A cascade is a folder with `base/` and `refiner/`; a refiner without `vae/` or `image_encoder/` shares base's.
Every tensor is checked on loading, and an error names the file and its first bad key.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ..errors import UserError
from .model import Settings, Zero123
from .patch_autoencoder import PatchAutoencoder
from .pose import POSE_TOKENS

SETTINGS = "zero123.json"
SCHEDULER = "scheduler/scheduler_config.json"
PARTS = ("unet", "vae", "image_encoder", "cc_projection")
SHARED_PARTS = ("vae", "image_encoder")
SAFETENSORS = ("diffusion_pytorch_model.safetensors", "model.safetensors")
AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "PatchAutoencoder": PatchAutoencoder}
# A buffer that CLIP computes; the transformers of upstream's day (4.28) stores it in the file and expects it there.
IGNORED_KEYS = ("vision_model.embeddings.position_ids",)


def load_zero123(
    path: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    config: str | None = None,
    pose_token: str | None = None,
) -> Zero123:
    """The model in `path`, frozen, in evaluation mode, on `device` in `dtype`.

    `config` is the LDM YAML of a single-file checkpoint of other widths than the published ones; `pose_token` (one of
    pose.POSE_TOKENS) overrules what the weights' name or settings say. Both may be None or empty.
    """
    folder = model_folder(path)
    if config:
        raise UserError(f"{config}: {folder} is a folder, which has its own configuration; leave `config` out")
    unet = _module(folder, "unet", UNet2DConditionModel.from_config)
    vae = _module(folder, "vae", _autoencoder)
    image_encoder = _module(folder, "image_encoder", _image_encoder)
    cc_projection = _cc_projection(folder)
    settings = _settings(folder)
    settings.pose_token = known_pose_token(pose_token or settings.pose_token, str(folder))
    model = Zero123(unet, vae, image_encoder, cc_projection, _scheduler_config(folder), settings)
    return model.to(device, dtype).eval().requires_grad_(False)


def save_zero123(model: Zero123, path: str | Path, shared_with: str | Path | None = None) -> None:
    """Write the layout above; parts that `shared_with` (the sibling base folder) has are left out."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS if shared_with is None else (part for part in PARTS if part not in SHARED_PARTS):
        module = getattr(model, part)
        if isinstance(module, nn.Linear):
            (folder / part).mkdir(exist_ok=True)
            tensors = {key: value.contiguous() for key, value in module.state_dict().items()}
            save_file(tensors, folder / part / SAFETENSORS[1])
        else:
            module.save_pretrained(folder / part)
    (folder / SCHEDULER).parent.mkdir(exist_ok=True)
    (folder / SCHEDULER).write_text(_json({"_class_name": "DDIMScheduler", **model.scheduler_config}))
    (folder / SETTINGS).write_text(_json(dataclasses.asdict(model.settings)))


def model_folder(path: str | Path) -> Path:
    """`path` if it is a folder of this layout; else one line on what it is and what to give instead."""
    folder = Path(path)
    if folder.suffix in (".ckpt", ".pt", ".pth", ".safetensors"):
        raise UserError(
            f"{folder}: single-file checkpoints (LDM) cannot be read yet; give a folder with unet/, vae/, "
            f"image_encoder/, cc_projection/, scheduler/ and {SETTINGS}, such as load/cascade-zero123-tiny/base"
        )
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of Zero-1-to-3 weights")
    if not (folder / "unet").is_dir():
        inside = [name for name in ("base", "refiner") if (folder / name / "unet").is_dir()]
        advice = f"name the model in it: {folder / inside[0]}" if inside else "expected unet/, vae/, ... in it"
        raise UserError(f"{folder}: not a Zero-1-to-3 model; {advice}")
    return folder


def weights_files(path: str | Path, config: str | None = None) -> list[Path]:
    """All files that decide what the model in `path` computes; a `pose_token` given beside them decides too."""
    folder = model_folder(path)
    parts = [_part_folder(folder, part) for part in PARTS] + [folder / "scheduler"]
    return [folder / SETTINGS, *(file for part in parts for file in sorted(part.glob("*.*")))]


def known_pose_token(name: str, named_by: str) -> str:
    if name not in POSE_TOKENS:
        raise UserError(f'{named_by}: pose_token "{name}"; known are {", ".join(POSE_TOKENS)}')
    return name


def _part_folder(folder: Path, part: str) -> Path:
    own, shared = folder / part, folder.parent / "base" / part
    return shared if part in SHARED_PARTS and not own.is_dir() and shared.is_dir() else own


def _module(folder: Path, part: str, build: Callable[[dict[str, Any]], nn.Module]) -> nn.Module:
    file = _part_folder(folder, part) / "config.json"
    config = _read_json(file)
    try:
        module = build(config)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{file}: {_one_line(error)}") from error
    return _fill(module, _tensors_file(file.parent))


def _autoencoder(config: dict[str, Any]) -> nn.Module:
    name = config.get("_class_name", "AutoencoderKL")
    if name not in AUTOENCODERS:
        raise ValueError(f'unknown autoencoder "{name}"; known are {", ".join(AUTOENCODERS)}')
    return AUTOENCODERS[name].from_config(config)


def _image_encoder(config: dict[str, Any]) -> nn.Module:
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**config))


def _cc_projection(folder: Path) -> nn.Linear:
    """Its sizes are read off the file; diffusers' published pipelines prefix the keys with `projection.`."""
    file = _tensors_file(folder / "cc_projection")
    tensors = {key.removeprefix("projection."): value for key, value in _read_tensors(file).items()}
    if "weight" not in tensors or tensors["weight"].ndim != 2:
        raise UserError(f"{file}: weight is missing or not a matrix")
    out_features, in_features = tensors["weight"].shape
    return _fill(nn.Linear(in_features, out_features), file, tensors)


def _tensors_file(folder: Path) -> Path:
    for name in SAFETENSORS:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder / SAFETENSORS[0]}: missing")


def _fill(module: nn.Module, file: Path, tensors: dict[str, Tensor] | None = None) -> nn.Module:
    """Copy the tensors of `file` into `module`, each once, none left over."""
    tensors = _read_tensors(file) if tensors is None else tensors
    expected = {key: value for key, value in module.state_dict().items() if key not in IGNORED_KEYS}
    for key, value in expected.items():
        if key not in tensors:
            raise UserError(f"{file}: {key} is missing; the file is not of this network, or incomplete")
        _check(file, key, tensors[key], value)
    for key in tensors:
        if key not in expected and key not in IGNORED_KEYS:
            raise UserError(f"{file}: {key} is not part of this network; its config.json belongs to other weights")
    module.load_state_dict({key: tensors[key] for key in expected}, strict=False)
    return module


def _check(file: Path, key: str, found: Tensor, expected: Tensor) -> None:
    if found.shape != expected.shape:
        raise UserError(f"{file}: {key} is {list(found.shape)}, expected {list(expected.shape)}")
    if found.is_floating_point() != expected.is_floating_point():
        raise UserError(f"{file}: {key} is {found.dtype}, expected {expected.dtype}")
    if found.is_floating_point() and not torch.isfinite(found).all():
        raise UserError(f"{file}: {key} holds values that are not finite; the weights are damaged")


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file}: truncated, or not a safetensors file ({_one_line(error)})") from error


def _scheduler_config(folder: Path) -> dict[str, Any]:
    file = folder / SCHEDULER
    config = _read_json(file)
    try:
        DDIMScheduler.from_config(config)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UserError(f"{file}: {_one_line(error)}") from error
    return config


def _settings(folder: Path) -> Settings:
    file = folder / SETTINGS
    given = _read_json(file)
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    for key, value in given.items():
        if key not in fields:
            raise UserError(f"{file}: unknown key {key}; known are {', '.join(fields)}")
        wanted = type(fields[key].default)
        if not isinstance(value, (int, float) if wanted is float else wanted) or isinstance(value, bool):
            raise UserError(f"{file}: {key} is {value!r}, expected a {wanted.__name__}")
    return Settings(**given)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: missing") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not readable as JSON ({_one_line(error)})") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected a JSON object")
    return content


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, default=list) + "\n"


def _one_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
