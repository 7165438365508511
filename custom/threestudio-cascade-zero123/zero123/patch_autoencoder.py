"""A linear autoencoder on image patches behind the interface of diffusers' `AutoencoderKL`.

The bundled model is too small to carry a convolutional VAE: a patch PCA (Pearson 1901) of the training views gives
better pictures at no cost and is differentiable. Latents are the leading components, each divided by its standard
deviation to the power `whitening`, so that fine detail is neither drowned by the first noise (0) nor as loud as the
colours (1).
"""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from jaxtyping import Float
from torch import Tensor, nn


class LinearPosterior:
    """A posterior without variance, named like diffusers' `DiagonalGaussianDistribution`."""

    def __init__(self, latents: Float[Tensor, "view c h w"]) -> None:
        self.latents = latents

    def mode(self) -> Float[Tensor, "view c h w"]:
        return self.latents

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "view c h w"]:
        return self.latents


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Images [view in_channels H W] in [-1, 1] <-> latents [view latent_channels H/patch_size W/patch_size].

    `in_channels` is 3 (colours) or 4 (and opacity).
    """

    @register_to_config
    def __init__(
        self,
        patch_size: int = 8,
        latent_channels: int = 64,
        scaling_factor: float = 1.0,
        whitening: float = 0.5,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        pixels = in_channels * patch_size**2
        self.mean = nn.Parameter(torch.zeros(pixels), requires_grad=False)
        self.basis = nn.Parameter(torch.eye(pixels)[:latent_channels], requires_grad=False)
        self.scale = nn.Parameter(torch.ones(latent_channels), requires_grad=False)

    @torch.no_grad()
    def fit(self, images: Float[Tensor, "view channel h w"]) -> None:
        """Set mean, basis and scale from training images in [-1, 1]; the latents' overall variance becomes 1."""
        patches = self._patches(images).movedim(1, -1).reshape(-1, len(self.mean)).double()
        self.mean.copy_(patches.mean(0))
        variances, vectors = torch.linalg.eigh(torch.cov(patches.T))
        leading = variances.argsort(descending=True)[: len(self.scale)]
        self.basis.copy_(vectors[:, leading].T)
        scale = variances[leading].clamp_min(1e-8) ** (self.config.whitening / 2)
        self.scale.copy_(scale * ((variances[leading] / scale**2).mean()).sqrt())

    def encode(self, images: Float[Tensor, "view channel h w"]) -> SimpleNamespace:
        """`.latent_dist.mode()`: the latents, not yet multiplied by `config.scaling_factor`."""
        centred = self._patches(images) - self.mean[:, None, None]
        latents = torch.einsum("cp,vphw->vchw", self.basis / self.scale[:, None], centred)
        return SimpleNamespace(latent_dist=LinearPosterior(latents))

    def decode(self, latents: Float[Tensor, "view c h w"]) -> SimpleNamespace:
        """`.sample`: images in about [-1, 1], not clamped."""
        patches = torch.einsum("cp,vchw->vphw", self.basis * self.scale[:, None], latents) + self.mean[:, None, None]
        return SimpleNamespace(sample=F.pixel_shuffle(patches, self.config.patch_size))

    def _patches(self, images: Float[Tensor, "view channel H W"]) -> Float[Tensor, "view pixel h w"]:
        return F.pixel_unshuffle(images, self.config.patch_size)
