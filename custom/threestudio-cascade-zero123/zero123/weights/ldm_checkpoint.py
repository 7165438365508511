"""Zero-1-to-3 as published: one file in the layout of the original latent-diffusion code, read and written.

    model.diffusion_model.*  U-Net        first_stage_model.*              autoencoder
    model_ema.*              its average  cond_stage_model.model.visual.*  CLIP ViT, OpenAI's layout
    cc_projection.*          pose projection

The original code samples with the average, so where there is one, it is the model. Optimizer states, the loss of the
autoencoder's training, CLIP's text side and the noise schedule's tables are not read.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ...common.errors import UserError, one_line
from ..architecture import Architecture
from ..model import Settings, Zero123
from .diffusers_folder import CONVOLUTIONAL, projection
from .fill_model import POSITION_IDS, filled, kind_of
from .ldm_config import clip_config, ldm_architecture
from .ldm_keys import (
    CLIP,
    EMA,
    EMA_BOOKKEEPING,
    PROJECTION,
    UNET,
    VAE,
    clip_keys,
    ema_name,
    section,
    unet_keys,
    vae_keys,
)
from .stored_tensor import StoredTensor, Wanted, contiguous_strides
from .tensor_files import open_tensors

# Where a part lies, said before the key that diffusers and transformers have for what is missing.
SECTIONS = {"unet": f"{UNET}*: ", "vae": f"{VAE}*: ", "image_encoder": f"{CLIP}*: "}


def load_ldm(path: Path, config: str | None, wanted: Wanted) -> Zero123:
    tensors = usual_names(open_tensors(path))
    _check_sections(path, tensors)
    architecture = ldm_architecture(config)
    built_from = config or "the published configuration (weights of another need its LDM YAML)"
    keys = module_keys(path, with_average(path, tensors), architecture)
    encoder_config = _clip_config(path, tensors)
    builders: dict[str, Callable[[], nn.Module]] = {
        "unet": lambda: UNet2DConditionModel(**architecture.unet),
        "vae": lambda: AutoencoderKL(**architecture.vae),
        "image_encoder": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**encoder_config)),
    }
    parts: dict[str, Any] = {}
    for part, build in builders.items():
        how = wanted if part in CONVOLUTIONAL else dataclasses.replace(wanted, channels_last=False)
        parts[part] = filled(build, built_from, keys[part], path, how, SECTIONS[part])
    parts["cc_projection"] = projection(path, wanted, keys["cc_projection"], PROJECTION)
    scheduler = dict(DDIMScheduler(**architecture.scheduler).config)
    scheduler.pop("_use_default_values")
    return Zero123(**parts, scheduler_config=scheduler, settings=Settings(**architecture.settings))


def usual_names(tensors: dict[str, Any]) -> dict[str, Any]:
    """Without the `module.` of a model that was trained in parallel, and with the `model.` that some cut off the U-Net.

    Messages go on naming tensors as the file does."""
    if tensors and all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    bare = UNET.removeprefix("model.")
    if any(key.startswith(UNET) for key in tensors):
        return tensors
    return {f"model.{key}" if key.startswith(bare) else key: value for key, value in tensors.items()}


def with_average(path: Path, tensors: dict[str, Any]) -> dict[str, Any]:
    """The U-Net's tensors replaced by their moving averages, if the file has these."""
    averages = {key for key in tensors if key.startswith(EMA) and key.removeprefix(EMA) not in EMA_BOOKKEEPING}
    if not averages:
        return tensors
    replaced = dict(tensors)
    for name in section(tensors, UNET):
        average = ema_name(name)
        if average not in tensors:
            raise UserError(f"{path}: {average} is missing; the moving average is incomplete")
        if not isinstance(tensors[average], StoredTensor):
            raise UserError(f"{path}: {average} is {kind_of(tensors[average])}")
        replaced[UNET + name] = tensors[average]
        averages.discard(average)
    if averages:
        raise UserError(f"{path}: {min(averages)} is the average of nothing in {UNET}*; the file is incomplete")
    return replaced


def module_keys(path: Path, tensors: dict[str, Any], architecture: Architecture) -> dict[str, dict[str, StoredTensor]]:
    """For each of our modules its tensors, by the module's own keys."""
    sections = {prefix: section(tensors, prefix) for prefix in (UNET, VAE, CLIP, PROJECTION)}
    sections[VAE] = {name: tensor for name, tensor in sections[VAE].items() if not name.startswith("loss.")}
    for prefix, named in sections.items():
        for name, tensor in named.items():
            if not isinstance(tensor, StoredTensor):
                raise UserError(f"{path}: {prefix}{name} is {kind_of(tensor)}")
    unet = {"layers_per_block": 2, **architecture.unet}
    vae = {"down_block_types": (), "up_block_types": (), **architecture.vae}
    return {
        "unet": _by_our_keys(path, UNET, lambda: unet_keys(sections[UNET], unet)),
        "vae": _by_our_keys(path, VAE, lambda: vae_keys(sections[VAE], vae)),
        "image_encoder": _by_our_keys(path, CLIP, lambda: clip_keys(sections[CLIP])),
        "cc_projection": sections[PROJECTION],
    }


def _by_our_keys(path: Path, prefix: str, keys: Callable[[], dict[str, StoredTensor]]) -> dict[str, StoredTensor]:
    try:
        return keys()
    except KeyError as error:
        raise UserError(f"{path}: {prefix}{error.args[0]} is missing; not this layout, or incomplete") from error
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{path}: {prefix}* is not this layout, or misshapen: {one_line(error)}") from error


def save_ldm(model: Zero123, template: Path, path: Path) -> list[str]:
    """`model` in the layout of `template`, whose other tensors (schedule, CLIP's text side) are kept as they are.

    The average, where the template has one, becomes the model too: whoever reads it gets this model either way.
    Returns the names of what the template has in its tensors' place and cannot be kept: numbers of kinds that are not
    read, and what is no tensor.
    """
    tensors = open_tensors(template)
    _check_sections(template, tensors)
    with_average(template, tensors)  # an average that lacks some would be read as another model
    written = {key: value for key, value in tensors.items() if isinstance(value, StoredTensor)}
    result: dict[str, Tensor] = {}
    for part, keys in module_keys(template, _laid_out(tensors), _architecture_of(model)).items():
        _write_part(part, getattr(model, part).state_dict(), keys, written, template, result)
    if any(key.startswith(EMA) for key in written):
        result |= {ema_name(name): tensor for name, tensor in section(result, UNET).items()}
    result = {key: result[key] if key in result else stored.read() for key, stored in written.items()}
    if path.suffix == ".safetensors":
        # Safetensors refuses tensors that share memory, as the average and the model do.
        save_file({key: value.clone() if key.startswith(EMA) else value for key, value in result.items()}, path)
    else:
        torch.save({"state_dict": result}, path)
    return sorted(tensors.keys() - written.keys())


def _write_part(
    part: str,
    state: dict[str, Tensor],
    keys: dict[str, StoredTensor],
    template: dict[str, StoredTensor],
    file: Path,
    result: dict[str, Tensor],
) -> None:
    """Copy each of the module's tensors to the place in the template's tensors that its key is read from."""
    for key in state:
        if key not in keys and key != POSITION_IDS:
            raise UserError(f"{file}: has no place for {part}: {key}; not its template, or incomplete")
    for key, place in keys.items():
        if key not in state or tuple(state[key].shape) != place.shape:
            found = list(state[key].shape) if key in state else "none"
            raise UserError(f"{file}: {place.name} is {list(place.shape)}, the model's is {found}; not its template")
        whole = result.setdefault(place.name, torch.empty(template[place.name].shape, dtype=state[key].dtype))
        whole.as_strided(place.shape, place.stride, place.start).copy_(state[key])


def _laid_out(tensors: dict[str, Any]) -> dict[str, Any]:
    """As they will lie when written: contiguous, from the start."""
    return {
        key: dataclasses.replace(value, start=0, stride=contiguous_strides(value.shape))
        if isinstance(value, StoredTensor)
        else value
        for key, value in tensors.items()
    }


def _architecture_of(model: Zero123) -> Architecture:
    return Architecture(unet=dict(model.unet.config), vae=dict(model.vae.config))


def _check_sections(path: Path, tensors: dict[str, Any]) -> None:
    if "conv_in.weight" in tensors:
        raise UserError(f"{path}: one network of a diffusers folder; name the folder that holds unet/, vae/, ...")
    for prefix, what in ((UNET, "U-Net"), (VAE, "autoencoder"), (CLIP, "CLIP"), (PROJECTION, "pose projection")):
        if not any(key.startswith(prefix) for key in tensors):
            raise UserError(f"{path}: not a Zero-1-to-3 checkpoint; it has no {what} ({prefix}*)")


def _clip_config(path: Path, tensors: dict[str, Any]) -> dict[str, Any]:
    try:
        return clip_config(section(tensors, CLIP))
    except KeyError as error:
        raise UserError(f"{path}: {CLIP}{error.args[0]} is missing; the file is incomplete") from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise UserError(f"{path}: {CLIP}* is not OpenAI's ViT ({one_line(error)})") from error
