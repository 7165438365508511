"""A Zero-1-to-3 as a folder in diffusers' layout: ours, and the two that the hub has.

    unet/ vae/ image_encoder/   config.json + weights             scheduler/scheduler_config.json
    cc_projection/              weights (weight, bias)            zero123.json (`Settings`; ours only)

Weights are safetensors, or .bin where a folder of the hub has no other. The hub's folders spell the projection's keys
`projection.weight` (kxic) or name its folder `clip_camera_projection` and the keys `proj.weight` (bennyguo, ashawkey).
A cascade is a folder with `base/` and `refiner/`; a refiner without `vae/` or `image_encoder/` shares base's.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, DDIMScheduler, ModelMixin, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ...common.errors import UserError, one_line
from ...common.files import read_json
from ...common.ranges import refuse_numbers
from ..model import NETWORK, SCHEDULER, Settings, Zero123, settings_of
from ..patch_autoencoder import PatchAutoencoder
from .complete_folder import whole_folder
from .fill_model import Part, filled
from .stored_tensor import StoredTensor, Wanted
from .tensor_files import open_tensors

SETTINGS = "zero123.json"
SCHEDULER_FILE = "scheduler/scheduler_config.json"
PREDICTED = ("epsilon", "v_prediction", "sample")
PARTS = ("unet", "vae", "image_encoder", "cc_projection")
SHARED_PARTS = ("vae", "image_encoder")
CONVOLUTIONAL = ("unet", "vae")  # which compute faster in channels-last layout
REFINER_PARTS = tuple(part for part in PARTS if part not in SHARED_PARTS)
FILES = (*PARTS, "scheduler", SETTINGS)
CASCADE = ("base", "refiner")
OTHER_PROJECTION = "clip_camera_projection"
SAFETENSORS = ("diffusion_pytorch_model.safetensors", "model.safetensors")
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "PatchAutoencoder": PatchAutoencoder}
AVERAGE = re.compile(r"(?<!non)[._]ema[._]")
# The autoencoder's attention as diffusers spelled it until 0.17, when the hub's folders were made.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def load_folder(folder: Path, wanted: Wanted) -> Zero123:
    """A folder in diffusers' layout, or UserError that says which part is missing or does not fit."""
    _refuse_other_pipeline(folder)

    def part(name: str, build: Callable[[dict[str, Any]], Part]) -> Part:
        file = part_folder(folder, name) / "config.json"
        config = read_json(file)
        refuse_numbers(file, config, NETWORK)
        weights = tensors_file(file.parent)
        how = wanted if name in CONVOLUTIONAL else replace(wanted, channels_last=False)
        return filled(lambda: build(config), str(file), _new_names(open_tensors(weights)), weights, how)

    unet = part("unet", UNet2DConditionModel.from_config)
    vae = part("vae", autoencoder)
    image_encoder = part("image_encoder", image_encoder_of)
    cc_projection = projection(tensors_file(part_folder(folder, "cc_projection")), wanted)
    model = Zero123(unet, vae, image_encoder, cc_projection, _scheduler_config(folder), _settings(folder))
    if not (folder / SETTINGS).exists():
        # The hub's configurations carry the sizes of the Stable Diffusion that these models started from.
        side = model.settings.image_size // 2 ** (len(vae.config.block_out_channels) - 1)
        unet.register_to_config(sample_size=side)
    return model


def _refuse_other_pipeline(folder: Path) -> None:
    """Other models in this layout, Zero123++ above all, say in model_index.json which they are."""
    index = folder / "model_index.json"
    if part_folder(folder, "image_encoder").is_dir() or not index.exists():
        return
    name = str(read_json(index).get("_class_name", "another pipeline"))
    why = "it has no image_encoder and no cc_projection, so it takes no pose"
    if re.search(r"zero123_?plus", name, re.IGNORECASE):
        why = "Zero123++ makes six views from fixed cameras in one picture and takes no pose"
    raise UserError(f"{folder}: a {name}, not a Zero-1-to-3: {why}; name weights of Zero-1-to-3")


def projection(
    file: Path,
    wanted: Wanted,
    tensors: dict[str, Any] | None = None,
    section: str = "",
) -> nn.Linear:
    """The pose projection; its sizes are read off its tensors (of `file`, unless given)."""
    tensors = open_tensors(file) if tensors is None else tensors
    tensors = {key.removeprefix("projection.").removeprefix("proj."): value for key, value in tensors.items()}
    weight = tensors.get("weight")
    if not isinstance(weight, StoredTensor) or len(weight.shape) != 2:
        raise UserError(f"{file}: {section}weight is missing or not a matrix; not a Zero-1-to-3")
    outputs, inputs = weight.shape
    return filled(lambda: nn.Linear(inputs, outputs), "its weight", tensors, file, wanted, section)


def save_zero123(model: Zero123, path: str | Path, shared_with: str | Path | None = None) -> None:
    """Write our layout, whole or not at all; parts that `shared_with` (the sibling base folder) has are left out."""
    with whole_folder(path, FILES) as folder:
        _write(model, folder, PARTS if shared_with is None else REFINER_PARTS)


def save_cascade(base: Zero123, refiner: Zero123, path: str | Path) -> None:
    """Both, whole or not at all, as a folder with `base/` and `refiner/`; the refiner shares base's parts."""
    with whole_folder(path, CASCADE) as folder:
        _write(base, folder / CASCADE[0], PARTS)
        _write(refiner, folder / CASCADE[1], REFINER_PARTS)


def _write(model: Zero123, folder: Path, parts: Iterable[str]) -> None:
    for part in parts:
        module = getattr(model, part)
        if isinstance(module, nn.Linear):
            (folder / part).mkdir(parents=True)
            tensors = {key: value.contiguous() for key, value in module.state_dict().items()}
            save_file(tensors, folder / part / SAFETENSORS[1], {"format": "pt"})
        else:
            module.save_pretrained(folder / part, safe_serialization=True)  # older libraries pickle
    (folder / SCHEDULER_FILE).parent.mkdir()
    (folder / SCHEDULER_FILE).write_text(_json({"_class_name": "DDIMScheduler", **model.scheduler_config}))
    (folder / SETTINGS).write_text(_json(dataclasses.asdict(model.settings)))


def folder_files(folder: Path) -> list[Path]:
    """All files that decide what the model computes."""
    parts = [part_folder(folder, part) for part in PARTS]
    configs = [part / "config.json" for part in parts[:-1]] + [folder / SCHEDULER_FILE, folder / SETTINGS]
    return [*(file for file in configs if file.exists()), *(tensors_file(part) for part in parts)]


def part_folder(folder: Path, part: str) -> Path:
    own, shared = folder / part, folder.parent / "base" / part
    if part == "cc_projection" and not own.is_dir() and (folder / OTHER_PROJECTION).is_dir():
        return folder / OTHER_PROJECTION
    return shared if part in SHARED_PARTS and not own.is_dir() and shared.is_dir() else own


def tensors_file(folder: Path) -> Path:
    chosen = chosen_weights(folder.name, [file.name for file in folder.glob("*")])
    if chosen:
        return folder / chosen
    if any(folder.glob("*.index.json")):
        raise UserError(f"{folder}: weights in several pieces cannot be read; save them as one (max_shard_size)")
    raise UserError(f"{folder / SAFETENSORS[0]}: missing")


def chosen_weights(part: str, names: list[str]) -> str | None:
    """Of a part's files the plain one, or a U-Net's moving average (`fp16_ema`) if it has one: that is the model."""
    known = [name for name in names if name.split(".")[0] in STEMS and name.endswith((".safetensors", ".bin"))]
    known.sort(key=lambda name: (name.endswith(".bin"), len(name), name))
    averages = [name for name in known if part == "unet" and AVERAGE.search(name)]
    return next(iter(averages + known), None)


def autoencoder(config: dict[str, Any]) -> ModelMixin:
    name = config.get("_class_name", "AutoencoderKL")
    if name not in AUTOENCODERS:
        raise ValueError(f'unknown autoencoder "{name}"; known are {", ".join(AUTOENCODERS)}')
    return AUTOENCODERS[name].from_config(config)


def image_encoder_of(config: dict[str, Any]) -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**config))


def _new_names(tensors: dict[str, Any]) -> dict[str, Any]:
    old = re.compile(rf"(.*mid_block\.attentions\.\d+)\.({'|'.join(OLD_ATTENTION)})\.(weight|bias)")
    renamed = {}
    for key, tensor in tensors.items():
        if found := old.fullmatch(key):
            key = f"{found[1]}.{OLD_ATTENTION[found[2]]}.{found[3]}"
            tensor = tensor[:, :, 0, 0] if isinstance(tensor, StoredTensor) and len(tensor.shape) == 4 else tensor
        renamed[key] = tensor
    return renamed


def _scheduler_config(folder: Path) -> dict[str, Any]:
    """Latents are never clipped; the configurations of other schedulers leave that unsaid.

    Keys with an underscore are diffusers' own; one of them would make it pass over values that the file states.
    """
    file = folder / SCHEDULER_FILE
    stated = {key: value for key, value in read_json(file).items() if not key.startswith("_")}
    config = {"clip_sample": False, **stated}
    refuse_numbers(file, config, SCHEDULER)
    try:
        scheduler = DDIMScheduler.from_config(config)
    except Exception as error:  # the library's own, of many kinds
        raise UserError(f"{file}: {one_line(error)}") from error
    steps, predicted = len(scheduler.alphas_cumprod), scheduler.config.prediction_type
    if steps != scheduler.config.num_train_timesteps:
        raise UserError(f"{file}: {steps} betas for {scheduler.config.num_train_timesteps} timesteps")
    if predicted not in PREDICTED:
        raise UserError(f'{file}: prediction_type "{predicted}"; known are {", ".join(PREDICTED)}')
    return config


def _settings(folder: Path) -> Settings:
    """Those of the published models where the folder is not of our making."""
    file = folder / SETTINGS
    return settings_of(read_json(file) if file.exists() else {}, file)


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, default=list) + "\n"
