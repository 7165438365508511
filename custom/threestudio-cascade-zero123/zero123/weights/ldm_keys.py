"""The layout of LDM checkpoints, as diffusers' and transformers' keys.

Each function takes the stored tensors of one part, by their names without prefix, and returns the same tensors, or
views of them, by the key of the module that they belong to. diffusers' own single-file helpers name the U-Net's and
the autoencoder's keys; CLIP here is OpenAI's, which they do not read.
"""

from types import SimpleNamespace
from typing import Any

from omegaconf import OmegaConf

from .stored_tensor import StoredTensor

UNET, EMA, VAE = "model.diffusion_model.", "model_ema.", "first_stage_model."
CLIP, PROJECTION = "cond_stage_model.model.visual.", "cc_projection."
EMA_BOOKKEEPING = {"decay", "num_updates"}
UNCONDITIONED = {"class_embed_type": None, "addition_embed_type": None}

CLIP_KEYS = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "ln_pre": "vision_model.pre_layrnorm",
    "ln_post": "vision_model.post_layernorm",
}
CLIP_LAYER_KEYS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def helpers() -> SimpleNamespace:
    """diffusers' own single-file helpers, under the names that they have from diffusers 0.26 on."""
    try:
        from diffusers.loaders import single_file_utils as own
    except ImportError:
        return _older_helpers()
    names: tuple[str, ...] = ("create_unet_diffusers_config_from_ldm", "create_vae_diffusers_config_from_ldm")
    names += ("convert_ldm_unet_checkpoint", "convert_ldm_vae_checkpoint")
    return SimpleNamespace(**{name: getattr(own, name) for name in names})


def _older_helpers() -> SimpleNamespace:
    """Those of upstream's day: they read attributes of the YAML, are told the size, and expect keys of all U-Nets."""
    from diffusers.pipelines.stable_diffusion import convert_from_ckpt as own

    def unet_config(original: dict[str, Any], checkpoint: dict[str, Any]) -> dict[str, Any]:
        return own.create_unet_diffusers_config(OmegaConf.create(original), image_size=0)

    def vae_config(original: dict[str, Any], checkpoint: dict[str, Any]) -> dict[str, Any]:
        return own.create_vae_diffusers_config(OmegaConf.create(original), image_size=0)

    def unet(checkpoint: dict[str, StoredTensor], config: dict[str, Any]) -> dict[str, StoredTensor]:
        return own.convert_ldm_unet_checkpoint(checkpoint, UNCONDITIONED | config)

    return SimpleNamespace(
        create_unet_diffusers_config_from_ldm=unet_config,
        create_vae_diffusers_config_from_ldm=vae_config,
        convert_ldm_unet_checkpoint=unet,
        convert_ldm_vae_checkpoint=own.convert_ldm_vae_checkpoint,
    )


def section(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def ema_name(unet_name: str) -> str:
    """The original EMA keeps `diffusion_model.<name>` as a buffer, whose name may have no dots."""
    return EMA + "diffusion_model" + unet_name.replace(".", "")


def unet_keys(unet: dict[str, StoredTensor], config: dict[str, Any]) -> dict[str, StoredTensor]:
    prefixed = {UNET + name: tensor for name, tensor in unet.items()}
    return _with_leftovers(unet, helpers().convert_ldm_unet_checkpoint(prefixed, config))


def vae_keys(vae: dict[str, StoredTensor], config: dict[str, Any]) -> dict[str, StoredTensor]:
    prefixed = {VAE + name: tensor for name, tensor in vae.items()}
    return _with_leftovers(vae, helpers().convert_ldm_vae_checkpoint(prefixed, config))


def clip_keys(visual: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """OpenAI's layout fuses query, key and value, and multiplies by its projection from the right."""
    keys = {}
    for name, tensor in visual.items():
        if name.startswith("transformer.resblocks."):
            _, _, layer, rest = name.split(".", 3)
            keys.update(_clip_layer_keys(f"vision_model.encoder.layers.{layer}.", rest, tensor))
        elif name == "proj":
            keys["visual_projection.weight"] = tensor.transposed()
        else:
            stem, _, leaf = name.rpartition(".")
            keys[CLIP_KEYS.get(name) or f"{CLIP_KEYS.get(stem, stem)}.{leaf}"] = tensor
    return keys


def _clip_layer_keys(layer: str, name: str, tensor: StoredTensor) -> dict[str, StoredTensor]:
    stem, _, leaf = name.rpartition(".")
    if name.startswith("attn.in_proj_"):
        third, leaf = tensor.shape[0] // 3, name.removeprefix("attn.in_proj_")
        return {
            f"{layer}self_attn.{part}_proj.{leaf}": tensor.rows(index * third, (index + 1) * third)
            for index, part in enumerate("qkv")
        }
    return {f"{layer}{CLIP_LAYER_KEYS.get(stem, stem)}.{leaf}": tensor}


def _with_leftovers(given: dict[str, StoredTensor], converted: dict[str, Any]) -> dict[str, StoredTensor]:
    """The helpers pass over names that they do not know: those are kept under their own, to be noticed."""
    taken = {tensor.name for tensor in converted.values()}
    return converted | {tensor.name: tensor for tensor in given.values() if tensor.name not in taken}
