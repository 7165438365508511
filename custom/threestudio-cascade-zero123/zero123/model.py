"""Zero-1-to-3 (Liu et al. 2023): a latent diffusion U-Net that denoises the target view of an object.

The U-Net sees the noisy target latents and, by channel concatenation, the latents of the source image (Eq. 2-4 of the
Cascade-Zero123 paper). By cross-attention it sees one token a view, `cc_projection(concat[image embedding, pose])`; a
plain Zero-1-to-3 has the source's token alone, the Refiner has several. The published models and the bundled one are
this same class at other widths. A U-Net with `class_embed_type: projection` (the bundled one) also gets the source's
embedding and pose added to its time embedding.

Images here are [view channel h w] in [0, 1]: colours on white and, in models that see and predict it, the opacity
(white.py). Whatever precision the weights are kept in (precision.py), each part computes in its own, and what goes in
and comes out is float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..common.errors import UserError
from ..common.ranges import Bounds, refuse_numbers, within

# Of the arguments of the networks' and the scheduler's classes, by diffusers' and transformers' names.
WIDTH, COUNT = (1, 1 << 16), (1, 1024)
NETWORK: dict[str, Bounds] = {
    **dict.fromkeys(("in_channels", "out_channels", "block_out_channels", "latent_channels", "norm_num_groups"), WIDTH),
    **dict.fromkeys(("cross_attention_dim", "projection_class_embeddings_input_dim", "projection_dim"), WIDTH),
    **dict.fromkeys(("hidden_size", "intermediate_size", "attention_head_dim"), WIDTH),
    **dict.fromkeys(("layers_per_block", "num_hidden_layers", "num_attention_heads", "patch_size"), COUNT),
    **dict.fromkeys(("sample_size", "image_size"), (1, 8192)),
    **dict.fromkeys(("dropout", "attention_dropout"), (0, 1)),
    "scaling_factor": (1e-9, 1e9),
    "whitening": (0, 1),
}
SCHEDULER: dict[str, Bounds] = {
    "num_train_timesteps": (2, 100_000),
    **dict.fromkeys(("beta_start", "beta_end", "trained_betas"), (0, 1)),
    "steps_offset": (0, 100_000),
}
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
OPACITY_MEAN = OPACITY_STD = 0.5


@dataclass
class Settings:
    """What the weights were trained for; stored beside them as `zero123.json`."""

    image_size: int = within(256, 8, 4096, "pixels")
    fovy_deg: float = within(49.1, 0.1, 170, "degrees")
    camera_distance: float = within(1.5, 0.01, 1000)
    object_ratio: float = within(0.75, 0.1, 1)  # larger side of the object's box over the image side
    cond_elevation_deg: float = within(0.0, -90, 90, "degrees")  # typical elevation of a source view
    pose_token: str = "zero123"
    patch_tokens: bool = False  # a view's context tokens: its embedding (the paper's), or that and each patch's
    prompt_steps: int = within(25, 1, 1000)  # of DDIM, and guidance scale: of the views that this Refiner is shown best
    prompt_scale: float = within(3.0, 0, 1000)
    notice: str = ""  # what the console tells whoever uses these weights


def settings_of(given: Mapping[str, Any], where: object) -> Settings:
    """Raises UserError, naming `where` they are written and the key, for what are no settings."""
    known = {field.name: field for field in fields(Settings)}
    for key, value in given.items():
        if key not in known:
            raise UserError(f"{where}: unknown key {key}; known are {', '.join(known)}")
        wanted = type(known[key].default)
        if type(value) not in ((int, float) if wanted is float else (wanted,)):
            raise UserError(f"{where}: {key} is {value!r:.60}, expected a {wanted.__name__}")
    refuse_numbers(where, given, {key: field.metadata["range"] for key, field in known.items() if field.metadata})
    return Settings(**given)


@dataclass
class Context:
    """What a prediction is conditioned on."""

    tokens: Float[Tensor, "view token dim"]
    concat: Float[Tensor, "view c h w"]
    vector: Float[Tensor, "view embedding"] | None = None

    def unconditional(self) -> "Context":
        """Everything zero, as Zero-1-to-3 drops its conditions in training."""
        vector = None if self.vector is None else torch.zeros_like(self.vector)
        return Context(torch.zeros_like(self.tokens), torch.zeros_like(self.concat), vector)

    @staticmethod
    def cat(contexts: list["Context"]) -> "Context":
        """Batches contexts of equal token count."""
        vectors = [context.vector for context in contexts if context.vector is not None]
        return Context(
            torch.cat([context.tokens for context in contexts]),
            torch.cat([context.concat for context in contexts]),
            torch.cat(vectors) if vectors else None,
        )


class Zero123(nn.Module):
    """The parts of one model and the steps that are the same wherever it is used."""

    unet: Any  # UNet2DConditionModel, or what has its interface
    vae: Any  # AutoencoderKL, likewise
    image_encoder: Any  # CLIPVisionModelWithProjection, likewise

    def __init__(
        self,
        unet: nn.Module,
        vae: nn.Module,
        image_encoder: nn.Module,
        cc_projection: nn.Linear,
        scheduler_config: dict[str, Any],
        settings: Settings,
    ) -> None:
        super().__init__()
        self.unet, self.vae = unet, vae
        self.image_encoder, self.cc_projection = image_encoder, cc_projection
        self.scheduler_config, self.settings = scheduler_config, settings

    def scheduler(self) -> DDIMScheduler:
        """A fresh scheduler; its config says whether the network predicts epsilon, v or x0."""
        return DDIMScheduler.from_config(self.scheduler_config)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the latents that are denoised."""
        side = self.unet.config.sample_size
        return self.unet.config.out_channels, side, side

    @property
    def channels(self) -> int:
        """Of a picture: 3, or 4 with opacity."""
        return self.vae.config.in_channels

    @property
    def pixels_a_latent(self) -> int:
        """Along a side."""
        patch = getattr(self.vae.config, "patch_size", None)
        return patch if patch else 2 ** (len(self.vae.config.block_out_channels) - 1)

    def image_embedding(self, images: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view token dim"]:
        """CLIP's projected embedding, not normalised; with `settings.patch_tokens` those of the patches follow."""
        if self.settings.patch_tokens:
            return self.tokens_of_image(images)
        return self.image_encoder(pixel_values=self._clip_pixels(images)).image_embeds[:, None].float()

    def tokens_of_image(self, images: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view token dim"]:
        """The projected embedding, and each patch through the same norm and projection, row by row."""
        hidden = self.image_encoder.vision_model(pixel_values=self._clip_pixels(images)).last_hidden_state
        return self.image_encoder.visual_projection(self.image_encoder.vision_model.post_layernorm(hidden)).float()

    def _clip_pixels(self, images: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view shown side side"]:
        """What the encoder takes, resized as in the original code: bicubic, aligned corners."""
        images = images[:, : self.image_encoder.config.num_channels]
        side: Any = self.image_encoder.config.image_size
        if images.shape[-1] != side or images.shape[-2] != side:
            images = F.interpolate(images, (side, side), mode="bicubic", align_corners=True)
        mean, std = images.new_tensor((*CLIP_MEAN, OPACITY_MEAN)), images.new_tensor((*CLIP_STD, OPACITY_STD))
        count = images.shape[1]
        return ((images - mean[:count, None, None]) / std[:count, None, None]).to(self.image_encoder.dtype)

    def source_latents(self, images: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view c lh lw"]:
        """Latents of the source for channel concatenation: the mode, not scaled, as in the original code."""
        return self.vae.encode((2.0 * images - 1.0).to(self.vae.dtype)).latent_dist.mode().float()

    def target_latents(self, images: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view c lh lw"]:
        """Latents that are noised and denoised: scaled, differentiable with respect to the images."""
        return self.source_latents(images) * self.vae.config.scaling_factor

    def decode(self, latents: Float[Tensor, "view c lh lw"]) -> Float[Tensor, "view channel h w"]:
        """Scaled latents to images in [0, 1]."""
        unscaled = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        return (0.5 * self.vae.decode(unscaled).sample.float() + 0.5).clamp(0.0, 1.0)

    def context_tokens(
        self, embedding: Float[Tensor, "view token dim"], pose: Float[Tensor, "view token 4"]
    ) -> Float[Tensor, "view token cross"]:
        """One cross-attention token for each (view, pose) pair (Eq. 4)."""
        return self.cc_projection(torch.cat([embedding, pose], dim=-1).to(self.cc_projection.weight.dtype)).float()

    def context(
        self,
        embeddings: Float[Tensor, "view token dim"],
        poses: Float[Tensor, "view shown 4"],
        source_latents: Float[Tensor, "view c lh lw"],
    ) -> Context:
        """The context of Eq. 9-11: the tokens of each view shown, one after the other, and its pose, which they share.

        The first is the source, whose latents are the concatenated ones.
        """
        poses = poses.repeat_interleave(embeddings.shape[1] // poses.shape[1], dim=1)
        vector = None
        if self.unet.config.class_embed_type == "projection":
            vector = torch.cat([embeddings[:, 0], poses[:, 0]], dim=-1)
        return Context(self.context_tokens(embeddings, poses), source_latents, vector)

    def predict(
        self, noisy: Float[Tensor, "view c lh lw"], timestep: Int[Tensor, "view"], context: Context
    ) -> Float[Tensor, "view c lh lw"]:
        """The network's output, of the scheduler's prediction type."""
        dtype = self.unet.dtype
        vector = None if context.vector is None else context.vector.to(dtype)
        inputs = torch.cat([noisy, context.concat], dim=1).to(dtype)
        return self.unet(inputs, timestep, context.tokens.to(dtype), class_labels=vector).sample.float()
