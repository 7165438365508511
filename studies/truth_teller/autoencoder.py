"""A linear autoencoder of the published latents' shape and scale: 4 x 32 x 32 for pictures of 256 px.

The latents of a patch of 8 x 8 pixels are its mean red, green and blue, so that every colour is asked for, and their
luminance, since the published latents too have more of it than of colour. What is finer than a patch is lost, as most
of it is in the published ones.
"""

from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from cascade_zero123.zero123.patch_autoencoder import LinearPosterior
from diffusers.configuration_utils import FrozenDict
from jaxtyping import Float
from torch import Tensor, nn

PATCH = 8  # pixels
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
# One over the standard deviation, 0.53, of these latents over four views each of the generated test objects 0 to 7. The
# published factor, 0.18215, is the same of the published latents: a timestep is to hide as much here as it does there.
SCALING_FACTOR = 1.9


class LinearAutoencoder(nn.Module):
    """Images [view 3 H W] in [-1, 1] <-> latents [view 4 H/8 W/8], behind the interface of `AutoencoderKL`."""

    def __init__(self) -> None:
        super().__init__()
        self.config: Any = FrozenDict(in_channels=3, latent_channels=4, patch_size=PATCH, scaling_factor=SCALING_FACTOR)
        mix = torch.cat([torch.eye(3), torch.tensor([LUMINANCE])])
        self.mix, self.unmix = (nn.Parameter(rows, requires_grad=False) for rows in (mix, torch.linalg.pinv(mix)))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.mix.dtype

    def encode(self, images: Float[Tensor, "view 3 H W"]) -> SimpleNamespace:
        """`.latent_dist.mode()`: the latents, not yet multiplied by `config.scaling_factor`."""
        latents = torch.einsum("kc,vchw->vkhw", self.mix, F.avg_pool2d(images, PATCH))
        return SimpleNamespace(latent_dist=LinearPosterior(latents))

    def scaled_latents(self, pictures: Float[Tensor, "view 3 H W"]) -> Float[Tensor, "view 4 h w"]:
        """Of pictures in [0, 1], as a model noises and denoises them."""
        return self.encode(2 * pictures - 1).latent_dist.mode() * self.config.scaling_factor

    def decode(self, latents: Float[Tensor, "view 4 h w"]) -> SimpleNamespace:
        """`.sample`: of all pictures the one nearest to grey that has the nearest such latents; not clamped."""
        colors = torch.einsum("ck,vkhw->vchw", self.unmix, latents)
        return SimpleNamespace(sample=F.interpolate(colors, scale_factor=PATCH))
