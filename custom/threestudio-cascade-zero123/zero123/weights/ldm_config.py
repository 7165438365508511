"""The architecture of an LDM checkpoint: from the YAML it was trained with, else the published one.

CLIP's sizes are read off its tensors; the YAML only names its class.
"""

import copy
from pathlib import Path
from typing import Any

import yaml
from diffusers import DDIMScheduler

from ...common.errors import UserError, one_line
from ...common.files import read_text
from ..architecture import PUBLISHED, Architecture
from .ldm_keys import helpers
from .stored_tensor import StoredTensor

# What the original classes take for parameters that a YAML leaves out.
UNET_DEFAULTS = {"transformer_depth": 1, "channel_mult": [1, 2, 4, 8], "context_dim": None, "conv_resample": True}
# Parameters of the original classes whose other values change the network in ways that diffusers' classes do not have.
ONLY_KNOWN: dict[str, dict[str, Any]] = {
    "params": {"conditioning_key": "hybrid", "given_betas": None, "rescale_betas_zero_snr": False},
    "unet_config": {
        "use_spatial_transformer": True,
        "use_scale_shift_norm": False,
        "resblock_updown": False,
        "use_new_attention_order": False,
        "conv_resample": True,
        "dims": 2,
        "n_embed": None,
        "num_classes": None,
    },
    "first_stage_config": {"double_z": True, "resamp_with_conv": True, "use_linear_attn": False},
}
MISSING = "no such file; it should be the LDM YAML of the checkpoint"
CLIP_HEAD_WIDTH = 64  # OpenAI's: as many heads as the width has 64s


def ldm_architecture(config: str | Path | None) -> Architecture:
    """Without the image encoder's sizes."""
    if not config:
        return copy.deepcopy(PUBLISHED)
    try:
        params = yaml.safe_load(read_text(config, MISSING))["model"]["params"]
        architecture = _from_params(params, str(config))
        DDIMScheduler(**architecture.scheduler)
        return architecture
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{config}: not an LDM configuration; {error.args[0]} is missing") from error
    except Exception as error:  # any value can stand anywhere in a YAML file
        raise UserError(f"{config}: not readable as an LDM configuration ({one_line(error)})") from error


def _from_params(params: dict[str, Any], config: str) -> Architecture:
    unet, vae = params["unet_config"]["params"], params["first_stage_config"]["params"]
    for key, value in UNET_DEFAULTS.items():
        unet.setdefault(key, value)
    _refuse_unknown_kinds(config, "params", params)
    _refuse_unknown_kinds(config, "unet_config", unet)
    _refuse_unknown_kinds(config, "first_stage_config", vae["ddconfig"])
    if vae["ddconfig"].get("attn_resolutions") or vae.get("embed_dim") != vae["ddconfig"]["z_channels"]:
        raise UserError(f"{config}: first_stage_config needs attn_resolutions [] and embed_dim equal to z_channels")
    original = {"model": {"params": params}}
    # An empty checkpoint: everything is taken from the YAML.
    unet_config = helpers().create_unet_diffusers_config_from_ldm(original, {})
    vae_config = helpers().create_vae_diffusers_config_from_ldm(original, {})
    latent_size = _side(params["image_size"], config)
    image_size = latent_size * 2 ** (len(vae["ddconfig"]["ch_mult"]) - 1)
    unet_config |= {"sample_size": latent_size, "attention_head_dim": _heads(unet)}
    vae_config |= {"sample_size": image_size, "scaling_factor": float(params.get("scale_factor", 1.0))}
    return Architecture(
        unet=unet_config,
        vae=vae_config,
        scheduler=_scheduler(params, config),
        settings={"image_size": image_size},
    )


def _side(size: Any, config: str) -> int:
    """Of the latents: a number, or the same one twice."""
    sides = set(size) if isinstance(size, list) else {size}
    side = sides.pop()
    if sides or not isinstance(side, int) or side <= 0:
        raise UserError(f"{config}: image_size is {size}; expected the side of square latents, as 32")
    return side


def _heads(unet: dict[str, Any]) -> int | list[int]:
    """Heads, or heads at each width; diffusers calls their number `attention_head_dim`."""
    width = unet.get("num_head_channels", -1)
    if width == -1:
        return unet["num_heads"]
    return [unet["model_channels"] * mult // width for mult in unet["channel_mult"]]


def _scheduler(params: dict[str, Any], config: str) -> dict[str, Any]:
    if params.get("beta_schedule", "linear") != "linear":
        raise UserError(f'{config}: beta_schedule "{params["beta_schedule"]}"; known is linear')
    predicted = {"eps": "epsilon", "v": "v_prediction"}.get(params.get("parameterization", "eps"))
    if predicted is None:
        raise UserError(f'{config}: parameterization "{params["parameterization"]}"; known are eps, v')
    return PUBLISHED.scheduler | {
        "beta_start": params.get("linear_start", 1e-4),
        "beta_end": params.get("linear_end", 2e-2),
        "num_train_timesteps": params.get("timesteps", 1000),
        "prediction_type": predicted,
    }


def _refuse_unknown_kinds(config: str, section: str, given: dict[str, Any]) -> None:
    for key, known in ONLY_KNOWN[section].items():
        if given.get(key, known) != known:
            raise UserError(f"{config}: {section} has {key}: {given[key]}; known is {known}")


def clip_config(visual: dict[str, StoredTensor]) -> dict[str, Any]:
    """transformers' configuration of the encoder whose tensors these are (keys below `visual.`)."""
    width, _, patch, _ = visual["conv1.weight"].shape
    grid = round((visual["positional_embedding"].shape[0] - 1) ** 0.5)
    layers = {key.split(".")[2] for key in visual if key.startswith("transformer.resblocks.")}
    return PUBLISHED.image_encoder | {
        "hidden_size": width,
        "intermediate_size": visual["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, width // CLIP_HEAD_WIDTH),
        "patch_size": patch,
        "image_size": grid * patch,
        "projection_dim": visual["proj"].shape[1],
    }
