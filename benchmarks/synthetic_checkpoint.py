"""A checkpoint in the layout of the published Zero-1-to-3 ones, with random values: for trying what needs their size.

    python benchmarks/synthetic_checkpoint.py OUT.ckpt [--reduced] [--no-ema] [--no-optimizer] [--seed 0]

The names and shapes are those of the original latent-diffusion code at the published sizes (or at an eighth of the
widths), with the moving average, CLIP's text leftovers, the noise schedule's tables, the optimizer's states and
Lightning's bookkeeping. The full file has 15.5 GB; it is written in place, so making it takes little memory.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Sizes:
    """Parameters of the original code's YAML, and of CLIP."""

    model_channels: int = 320
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    attention_resolutions: tuple[int, ...] = (4, 2, 1)
    context_dim: int = 768
    num_heads: int = 8
    latent_size: int = 32
    vae_ch: int = 128
    vae_ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    vae_res_blocks: int = 2
    z_channels: int = 4
    clip_width: int = 1024
    clip_layers: int = 24
    clip_patch: int = 14
    clip_size: int = 224
    clip_text_width: int = 768


PUBLISHED = Sizes()
# Group norms have 32 groups and CLIP's heads 64 channels: no smaller.
REDUCED = Sizes(model_channels=32, context_dim=48, num_heads=2, vae_ch=32, clip_width=128, clip_layers=2,
                clip_patch=28, clip_size=56, clip_text_width=48, latent_size=8)  # fmt: skip


def unet_shapes(sizes: Sizes) -> Shapes:
    base, embedding = sizes.model_channels, 4 * sizes.model_channels
    shapes = {"time_embed.0.weight": (embedding, base), "time_embed.0.bias": (embedding,)}
    shapes |= _linear("time_embed.2", embedding, embedding)
    shapes |= _conv("input_blocks.0.0", 2 * sizes.z_channels, base, 3)
    skips, width, index, scale = [base], base, 1, 1
    for level, mult in enumerate(sizes.channel_mult):
        for _ in range(sizes.num_res_blocks):
            shapes |= _unet_res_block(f"input_blocks.{index}.0", width, mult * base, embedding)
            width = mult * base
            if scale in sizes.attention_resolutions:
                shapes |= _transformer(f"input_blocks.{index}.1", width, sizes.context_dim)
            skips.append(width)
            index += 1
        if level < len(sizes.channel_mult) - 1:
            shapes |= _conv(f"input_blocks.{index}.0.op", width, width, 3)
            skips.append(width)
            index, scale = index + 1, scale * 2
    shapes |= _unet_res_block("middle_block.0", width, width, embedding)
    shapes |= _transformer("middle_block.1", width, sizes.context_dim)
    shapes |= _unet_res_block("middle_block.2", width, width, embedding)
    index = 0
    for level, mult in reversed(list(enumerate(sizes.channel_mult))):
        for block in range(sizes.num_res_blocks + 1):
            shapes |= _unet_res_block(f"output_blocks.{index}.0", width + skips.pop(), mult * base, embedding)
            width, last = mult * base, 1
            if scale in sizes.attention_resolutions:
                shapes |= _transformer(f"output_blocks.{index}.1", width, sizes.context_dim)
                last = 2
            if level and block == sizes.num_res_blocks:
                shapes |= _conv(f"output_blocks.{index}.{last}.conv", width, width, 3)
                scale //= 2
            index += 1
    return shapes | _norm("out.0", base) | _conv("out.2", base, sizes.z_channels, 3)


def vae_shapes(sizes: Sizes) -> Shapes:
    widths, z = [sizes.vae_ch * mult for mult in sizes.vae_ch_mult], sizes.z_channels
    shapes = _conv("encoder.conv_in", 3, sizes.vae_ch, 3)
    width = sizes.vae_ch
    for level, out in enumerate(widths):
        for block in range(sizes.vae_res_blocks):
            shapes |= _vae_res_block(f"encoder.down.{level}.block.{block}", width, out)
            width = out
        if level < len(widths) - 1:
            shapes |= _conv(f"encoder.down.{level}.downsample.conv", width, width, 3)
    shapes |= _vae_middle("encoder", width) | _norm("encoder.norm_out", width)
    shapes |= _conv("encoder.conv_out", width, 2 * z, 3) | _conv("decoder.conv_in", z, width, 3)
    shapes |= _vae_middle("decoder", width)
    for level, out in reversed(list(enumerate(widths))):
        for block in range(sizes.vae_res_blocks + 1):
            shapes |= _vae_res_block(f"decoder.up.{level}.block.{block}", width, out)
            width = out
        if level:
            shapes |= _conv(f"decoder.up.{level}.upsample.conv", width, width, 3)
    shapes |= _norm("decoder.norm_out", width) | _conv("decoder.conv_out", width, 3, 3)
    return shapes | _conv("quant_conv", 2 * z, 2 * z, 1) | _conv("post_quant_conv", z, z, 1)


def clip_shapes(sizes: Sizes) -> Shapes:
    """OpenAI's ViT, keys below `visual.`."""
    width, grid = sizes.clip_width, sizes.clip_size // sizes.clip_patch
    shapes = {
        "class_embedding": (width,),
        "positional_embedding": (grid**2 + 1, width),
        "proj": (width, sizes.clip_text_width),
        "conv1.weight": (width, 3, sizes.clip_patch, sizes.clip_patch),
    }
    for layer in range(sizes.clip_layers):
        block = f"transformer.resblocks.{layer}"
        shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        shapes |= _linear(f"{block}.attn.out_proj", width, width)
        shapes |= _norm(f"{block}.ln_1", width) | _norm(f"{block}.ln_2", width)
        shapes |= _linear(f"{block}.mlp.c_fc", width, 4 * width) | _linear(f"{block}.mlp.c_proj", 4 * width, width)
    return shapes | _norm("ln_pre", width) | _norm("ln_post", width)


def state_shapes(sizes: Sizes, ema: bool = True) -> Shapes:
    unet = unet_shapes(sizes)
    shapes: Shapes = {"betas": (1000,), "alphas_cumprod": (1000,), "sqrt_one_minus_alphas_cumprod": (1000,)}
    shapes |= {f"model.diffusion_model.{name}": shape for name, shape in unet.items()}
    if ema:
        shapes |= {"model_ema.decay": (), "model_ema.num_updates": ()}
        shapes |= {f"model_ema.diffusion_model{name.replace('.', '')}": shape for name, shape in unet.items()}
    shapes |= {f"first_stage_model.{name}": shape for name, shape in vae_shapes(sizes).items()}
    clip = "cond_stage_model.model"
    shapes |= {f"{clip}.visual.{name}": shape for name, shape in clip_shapes(sizes).items()}
    text = sizes.clip_text_width
    shapes |= {
        f"{clip}.positional_embedding": (77, text),
        f"{clip}.text_projection": (text, text),
        f"{clip}.logit_scale": (),
    }
    shapes |= {f"{clip}.token_embedding.weight": (49408, text)} | _norm(f"{clip}.ln_final", text)
    return shapes | _linear("cc_projection", sizes.clip_text_width + 4, sizes.context_dim)


def random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Of a size that keeps activations of order one: norms' weights are about 1, others shrink with their inputs."""
    if name.endswith("num_updates"):
        return torch.tensor(105000, dtype=torch.int32)
    values = torch.randn(shape, generator=generator)
    if len(shape) < 2:
        return 0.1 * values + (1.0 if name.endswith("weight") else 0.0)
    return values / math.sqrt(math.prod(shape[1:]))


def random_state(sizes: Sizes, ema: bool = True, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: random_tensor(name, shape, generator) for name, shape in state_shapes(sizes, ema).items()}


def ldm_yaml(sizes: Sizes) -> str:
    """As published, at these sizes."""
    unet = {
        "image_size": sizes.latent_size,
        "in_channels": 2 * sizes.z_channels,
        "out_channels": sizes.z_channels,
        "model_channels": sizes.model_channels,
        "attention_resolutions": list(sizes.attention_resolutions),
        "num_res_blocks": sizes.num_res_blocks,
        "channel_mult": list(sizes.channel_mult),
        "num_heads": sizes.num_heads,
        "use_spatial_transformer": True,
        "transformer_depth": 1,
        "context_dim": sizes.context_dim,
        "use_checkpoint": True,
        "legacy": False,
    }
    ddconfig = {
        "double_z": True,
        "z_channels": sizes.z_channels,
        "resolution": 8 * sizes.latent_size,
        "in_channels": 3,
        "out_ch": 3,
        "ch": sizes.vae_ch,
        "ch_mult": list(sizes.vae_ch_mult),
        "num_res_blocks": sizes.vae_res_blocks,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    params = {
        "linear_start": 0.00085,
        "linear_end": 0.0120,
        "timesteps": 1000,
        "image_size": sizes.latent_size,
        "channels": sizes.z_channels,
        "conditioning_key": "hybrid",
        "scale_factor": 0.18215,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet},
        "first_stage_config": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {"embed_dim": sizes.z_channels, "ddconfig": ddconfig},
        },
        "cond_stage_config": {"target": "ldm.modules.encoders.modules.FrozenCLIPImageEmbedder"},
    }
    return yaml.safe_dump({"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": params}})


def bookkeeping(state: dict[str, Any], optimizer: bool) -> dict[str, Any]:
    """What Lightning keeps beside the weights; the optimizer's two moments are as large as the U-Net each."""
    unet = [tensor for name, tensor in state.items() if name.startswith("model.diffusion_model.")]
    moments = {
        index: {"step": 105000, "exp_avg": torch.empty_like(tensor), "exp_avg_sq": torch.empty_like(tensor)}
        for index, tensor in enumerate(unet)
    }
    states = [{"state": moments, "param_groups": [{"lr": 1e-4, "params": list(moments)}]}] if optimizer else []
    return {"epoch": 3, "global_step": 105000, "pytorch-lightning_version": "1.4.2", "optimizer_states": states}


def write_checkpoint(path: Path, sizes: Sizes, ema: bool, optimizer: bool, seed: int) -> None:
    """First a file with places for all tensors, then the values, one tensor at a time."""
    from cascade_zero123.zero123.weights.tensor_files import open_tensors

    # Memory that is never touched is never taken: the file gets its length, not the tensors' content.
    with torch.serialization.skip_data():
        state = {name: torch.empty(shape, dtype=_dtype(name)) for name, shape in state_shapes(sizes, ema).items()}
        torch.save({**bookkeeping(state, optimizer), "state_dict": state}, path)
    generator = torch.Generator().manual_seed(seed)
    with open(path, "rb+") as file:
        for name, place in open_tensors(path).items():
            file.seek(place.offset)
            file.write(random_tensor(name, place.shape, generator).numpy().tobytes())


def _dtype(name: str) -> torch.dtype:
    return torch.int32 if name.endswith("num_updates") else torch.float32


def _linear(name: str, inputs: int, outputs: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})


def _conv(name: str, inputs: int, outputs: int, size: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, size, size), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _unet_res_block(name: str, inputs: int, outputs: int, embedding: int) -> Shapes:
    shapes = _norm(f"{name}.in_layers.0", inputs) | _conv(f"{name}.in_layers.2", inputs, outputs, 3)
    shapes |= _linear(f"{name}.emb_layers.1", embedding, outputs)
    shapes |= _norm(f"{name}.out_layers.0", outputs) | _conv(f"{name}.out_layers.3", outputs, outputs, 3)
    return shapes | (_conv(f"{name}.skip_connection", inputs, outputs, 1) if inputs != outputs else {})


def _transformer(name: str, width: int, context: int) -> Shapes:
    block = f"{name}.transformer_blocks.0"
    shapes = _norm(f"{name}.norm", width) | _conv(f"{name}.proj_in", width, width, 1)
    for attention, source in (("attn1", width), ("attn2", context)):
        shapes |= _linear(f"{block}.{attention}.to_q", width, width, bias=False)
        shapes |= _linear(f"{block}.{attention}.to_k", source, width, bias=False)
        shapes |= _linear(f"{block}.{attention}.to_v", source, width, bias=False)
        shapes |= _linear(f"{block}.{attention}.to_out.0", width, width)
    shapes |= _linear(f"{block}.ff.net.0.proj", width, 8 * width) | _linear(f"{block}.ff.net.2", 4 * width, width)
    for norm in ("norm1", "norm2", "norm3"):
        shapes |= _norm(f"{block}.{norm}", width)
    return shapes | _conv(f"{name}.proj_out", width, width, 1)


def _vae_res_block(name: str, inputs: int, outputs: int) -> Shapes:
    shapes = _norm(f"{name}.norm1", inputs) | _conv(f"{name}.conv1", inputs, outputs, 3)
    shapes |= _norm(f"{name}.norm2", outputs) | _conv(f"{name}.conv2", outputs, outputs, 3)
    return shapes | (_conv(f"{name}.nin_shortcut", inputs, outputs, 1) if inputs != outputs else {})


def _vae_middle(side: str, width: int) -> Shapes:
    shapes = _vae_res_block(f"{side}.mid.block_1", width, width) | _norm(f"{side}.mid.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        shapes |= _conv(f"{side}.mid.attn_1.{part}", width, width, 1)
    return shapes | _vae_res_block(f"{side}.mid.block_2", width, width)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--reduced", action="store_true", help="an eighth of the widths; OUT.yaml says which")
    parser.add_argument("--no-ema", action="store_true")
    parser.add_argument("--no-optimizer", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = REDUCED if options.reduced else PUBLISHED
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(options.out, chosen, not options.no_ema, not options.no_optimizer, options.seed)
    options.out.with_suffix(".yaml").write_text(ldm_yaml(chosen))
    print(f"{options.out}: {options.out.stat().st_size / 1e9:.2f} GB")
