"""What a Zero-1-to-3 checkpoint computes, spelled out in float64 on the file's own tensors: slow, and without modules.

Written from the papers (latent diffusion, CLIP) and the layout's names; nothing here is shared with what it checks.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

GROUPS = 32


class Tensors:
    """A checkpoint's tensors below a prefix, in float64."""

    def __init__(self, state, prefix):
        self.state, self.prefix = state, prefix

    def __getitem__(self, name):
        return self.state[self.prefix + name].double()

    def __contains__(self, name):
        return self.prefix + name in self.state

    def below(self, name):
        return Tensors(self.state, f"{self.prefix}{name}.")


def linear(t, x):
    product = x @ t["weight"].T
    return product + t["bias"] if "bias" in t else product


def conv(t, x, stride=1, padding=None):
    padding = t["weight"].shape[-1] // 2 if padding is None else padding
    return F.conv2d(x, t["weight"], t["bias"], stride=stride, padding=padding)


def group_norm(t, x, eps):
    grouped = x.reshape(len(x), GROUPS, -1)
    grouped = (grouped - grouped.mean(-1, keepdim=True)) / (grouped.var(-1, keepdim=True, unbiased=False) + eps).sqrt()
    return grouped.reshape(x.shape) * t["weight"][:, None, None] + t["bias"][:, None, None]


def layer_norm(t, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt() * t["weight"] + t["bias"]


def swish(x):
    return x * torch.sigmoid(x)


def attention(q, k, v, heads):
    """Each [batch token width]."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def res_block(x, first, second, shortcut, eps, embedding=0.0):
    """`first` and `second` are pairs of norm and convolution; `shortcut` the tensors of a 1x1 convolution, or None."""
    h = conv(first[1], swish(group_norm(first[0], x, eps))) + embedding
    h = conv(second[1], swish(group_norm(second[0], h, eps)))
    return h + (x if shortcut is None else conv(shortcut, x))


# --- U-Net ---


def unet(state, sizes, x, timestep, context, prefix="model.diffusion_model."):
    t = Tensors(state, prefix)
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(sizes.model_channels // 2).double() * 2)
    frequencies = frequencies ** (1 / sizes.model_channels)
    angles = timestep.double()[:, None] * frequencies
    embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)
    embedding = linear(t.below("time_embed.2"), swish(linear(t.below("time_embed.0"), embedding)))

    def apply(block, h):
        """A block's layers in order, each known by the names it has."""
        layer = 0
        while True:
            names = t.below(f"{block}.{layer}")
            if "in_layers.0.weight" in names:
                h = unet_res_block(names, h, embedding)
            elif "proj_in.weight" in names:
                h = transformer(names, h, context, sizes.num_heads)
            elif "op.weight" in names:
                h = conv(names.below("op"), h, stride=2)
            elif "conv.weight" in names:
                h = conv(names.below("conv"), h.repeat_interleave(2, -1).repeat_interleave(2, -2))
            elif "weight" in names:
                h = conv(names, h)
            else:
                return h
            layer += 1

    h, skips, index = x.double(), [], 0
    while any(key.startswith(f"{prefix}input_blocks.{index}.") for key in state):
        h = apply(f"input_blocks.{index}", h)
        skips.append(h)
        index += 1
    h = apply("middle_block", h)
    for index in range(len(skips)):
        h = apply(f"output_blocks.{index}", torch.cat([h, skips.pop()], dim=1))
    return conv(t.below("out.2"), swish(group_norm(t.below("out.0"), h, 1e-5)))


def unet_res_block(t, x, embedding):
    added = linear(t.below("emb_layers.1"), swish(embedding))[:, :, None, None]
    first = t.below("in_layers.0"), t.below("in_layers.2")
    second = t.below("out_layers.0"), t.below("out_layers.3")
    shortcut = t.below("skip_connection") if "skip_connection.weight" in t else None
    return res_block(x, first, second, shortcut, 1e-5, added)


def transformer(t, x, context, heads):
    h = conv(t.below("proj_in"), group_norm(t.below("norm"), x, 1e-6)).flatten(2).transpose(1, 2)
    b = t.below("transformer_blocks.0")
    normed = layer_norm(b.below("norm1"), h)
    h = h + cross_attention(b.below("attn1"), normed, normed, heads)
    h = h + cross_attention(b.below("attn2"), layer_norm(b.below("norm2"), h), context.double(), heads)
    value, gate = linear(b.below("ff.net.0.proj"), layer_norm(b.below("norm3"), h)).chunk(2, dim=-1)
    gelu = gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
    h = h + linear(b.below("ff.net.2"), value * gelu)
    return x + conv(t.below("proj_out"), h.transpose(1, 2).reshape(x.shape))


def cross_attention(t, x, source, heads):
    q, k, v = (linear(t.below(f"to_{name}"), y) for name, y in (("q", x), ("k", source), ("v", source)))
    return linear(t.below("to_out.0"), attention(q, k, v, heads))


# --- Autoencoder ---


def encode(state, sizes, images):
    """The posterior's mode of images in [-1, 1]."""
    t = Tensors(state, "first_stage_model.")
    e = t.below("encoder")
    h = conv(e.below("conv_in"), images.double())
    for level in range(len(sizes.vae_ch_mult)):
        for block in range(sizes.vae_res_blocks):
            h = vae_res_block(e.below(f"down.{level}.block.{block}"), h)
        if level < len(sizes.vae_ch_mult) - 1:
            h = conv(e.below(f"down.{level}.downsample.conv"), F.pad(h, (0, 1, 0, 1)), stride=2, padding=0)
    h = swish(group_norm(e.below("norm_out"), vae_middle(e, h), 1e-6))
    return conv(t.below("quant_conv"), conv(e.below("conv_out"), h))[:, : sizes.z_channels]


def decode(state, sizes, latents):
    """Unscaled latents to images in about [-1, 1]."""
    t = Tensors(state, "first_stage_model.")
    d = t.below("decoder")
    h = vae_middle(d, conv(d.below("conv_in"), conv(t.below("post_quant_conv"), latents.double())))
    for level in reversed(range(len(sizes.vae_ch_mult))):
        for block in range(sizes.vae_res_blocks + 1):
            h = vae_res_block(d.below(f"up.{level}.block.{block}"), h)
        if level:
            h = conv(d.below(f"up.{level}.upsample.conv"), h.repeat_interleave(2, -1).repeat_interleave(2, -2))
    return conv(d.below("conv_out"), swish(group_norm(d.below("norm_out"), h, 1e-6)))


def vae_res_block(t, x):
    shortcut = t.below("nin_shortcut") if "nin_shortcut.weight" in t else None
    return res_block(x, (t.below("norm1"), t.below("conv1")), (t.below("norm2"), t.below("conv2")), shortcut, 1e-6)


def vae_middle(t, h):
    h = vae_res_block(t.below("mid.block_1"), h)
    a = t.below("mid.attn_1")
    normed = group_norm(a.below("norm"), h, 1e-6)
    q, k, v = (conv(a.below(name), normed).flatten(2).transpose(1, 2) for name in "qkv")
    h = h + conv(a.below("proj_out"), attention(q, k, v, 1).transpose(1, 2).reshape(h.shape))
    return vae_res_block(t.below("mid.block_2"), h)


# --- CLIP ---


def embed(state, sizes, images):
    """The image embedding of images in [0, 1]."""
    t = Tensors(state, "cond_stage_model.model.visual.")
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).double()[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).double()[:, None, None]
    x = (bicubic(images.double(), sizes.clip_size) - mean) / std
    x = F.conv2d(x, t["conv1.weight"], stride=sizes.clip_patch).flatten(2).transpose(1, 2)
    x = torch.cat([t["class_embedding"].expand(len(x), 1, -1), x], dim=1) + t["positional_embedding"]
    x = layer_norm(t.below("ln_pre"), x)
    for layer in range(sizes.clip_layers):
        b = t.below(f"transformer.resblocks.{layer}")
        normed = layer_norm(b.below("ln_1"), x)
        q, k, v = (normed @ b["attn.in_proj_weight"].T + b["attn.in_proj_bias"]).chunk(3, dim=-1)
        x = x + linear(b.below("attn.out_proj"), attention(q, k, v, sizes.clip_width // 64))
        h = linear(b.below("mlp.c_fc"), layer_norm(b.below("ln_2"), x))
        x = x + linear(b.below("mlp.c_proj"), h * torch.sigmoid(1.702 * h))
    return layer_norm(t.below("ln_post"), x[:, 0]) @ t["proj"]


def bicubic(images, size):
    """Cubic convolution (a = -0.75), corners on corners, edges repeated, no smoothing before."""
    down, across = (_cubic_weights(length, size) for length in images.shape[-2:])
    return torch.einsum("oh,vchw,pw->vcop", down, images, across)


def _cubic_weights(length, size):
    weights = np.zeros((size, length))
    for row in range(size):
        place = row * (length - 1) / (size - 1)
        for index in range(math.floor(place) - 1, math.floor(place) + 3):
            weights[row, min(max(index, 0), length - 1)] += _cubic(abs(place - index))
    return torch.from_numpy(weights)


def _cubic(d, a=-0.75):
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0
