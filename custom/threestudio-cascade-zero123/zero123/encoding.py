"""A rendering's latents, and what a gradient on them asks of its pixels: the encoder's backward pass or a cheaper one.

    exact        the encoder's own Jacobian
    recomputed   the same; the encoder runs again in the backward pass, one view at a time, so that the step holds the
                 activations of one view only and those not while the U-Net runs. Costs a forward pass
    linear       exact latents; back by the linear map that is nearest to the Jacobian (`mean_jacobian`). Saves the
                 backward pass and its activations
    small        both ways at half the resolution, latents enlarged. A quarter of the work; other latents

The last two are approximations: benchmarks/encoder_gradient.py shows the cosine of their gradient with the exact one
for a trained encoder, 0.7 for `linear` and about 0 for `small` (docs/results.md), and benchmarks/guidance.py what they
cost. For a linear autoencoder `linear` is exact.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..common.errors import UserError
from ..common.seeding import draw_generator
from .model import Zero123

ENCODER_GRADIENTS = ("exact", "recomputed", "linear", "small")
NEIGHBOURS = 1  # latents on each side whose pixels a latent's gradient reaches in `linear`

Encoder = Callable[[Tensor], Tensor]


class Encoding:
    """Images [view channel h w] in [0, 1] to the latents that are noised; `gradient` is one of ENCODER_GRADIENTS."""

    def __init__(self, model: Zero123, gradient: str = "exact") -> None:
        if gradient not in ENCODER_GRADIENTS:
            raise UserError(f'guidance.encoder_gradient "{gradient}"; known are {", ".join(ENCODER_GRADIENTS)}')
        self.model, self.gradient = model, gradient
        self.kernel: Tensor | None = None

    def fit(self, images: Float[Tensor, "view channel h w"]) -> None:
        """Show what will be encoded: `linear` needs some pictures of the object, the others nothing."""
        if self.gradient == "linear":
            self.kernel = mean_jacobian(self.model.target_latents, images)

    def __call__(self, images: Float[Tensor, "view channel h w"]) -> Float[Tensor, "view c lh lw"]:
        if self.gradient == "small":
            return self._small(images)
        if self.gradient == "linear" and self.kernel is None:
            raise ValueError("fit comes before encoding with a linear gradient")
        if self.gradient == "exact" and self.model.vae.dtype != torch.float16:
            return self.model.target_latents(images)
        return encoded(images, *getattr(self, f"_{self.gradient}")(images.detach()))

    def _exact(self, images: Tensor) -> tuple[Tensor, Encoder]:
        with torch.enable_grad():
            inputs = images.requires_grad_()
            latents = self.model.target_latents(inputs)
        return latents, lambda gradient: torch.autograd.grad(latents, inputs, gradient)[0]

    def _recomputed(self, images: Tensor) -> tuple[Tensor, Encoder]:
        def pull_back(gradient: Tensor) -> Tensor:
            views = zip(images.split(1), gradient.split(1), strict=True)
            return torch.cat([self._exact(image.detach())[1](own) for image, own in views])

        return self._latents(images), pull_back

    def _linear(self, images: Tensor) -> tuple[Tensor, Encoder]:
        kernel = self.kernel
        assert kernel is not None
        stride = kernel.shape[-1] // (2 * NEIGHBOURS + 1)
        return self._latents(images), lambda gradient: F.conv_transpose2d(
            gradient, kernel, stride=stride, padding=NEIGHBOURS * stride
        )

    def _latents(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.model.target_latents(images)

    def _small(self, images: Tensor) -> Tensor:
        latents = Encoding(self.model)(F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True))
        return F.interpolate(latents, self.model.latent_shape[1:], mode="bilinear", align_corners=False)


class _Encoded(torch.autograd.Function):
    """See `encoded`."""

    @staticmethod
    def forward(ctx, images, latents, pull_back):
        ctx.pull_back = pull_back
        return latents.clone()

    @staticmethod
    def backward(ctx, gradient):
        largest = gradient.abs().amax().clamp_min(torch.finfo(gradient.dtype).tiny)
        return ctx.pull_back(gradient / largest) * largest, None, None


def encoded(
    images: Float[Tensor, "view channel h w"], latents: Float[Tensor, "view c lh lw"], pull_back: Encoder
) -> Float[Tensor, "view c lh lw"]:
    """`latents` with `pull_back` as their derivative by `images`.

    The gradient is scaled to at most 1 before and back after: float16 loses the small ones on the way otherwise.
    """
    return _Encoded.apply(images, latents.detach(), pull_back)


def mean_jacobian(
    encode: Encoder, images: Float[Tensor, "view channel h w"], draws: int = 1, seed: int = 0
) -> Float[Tensor, "c channel k k"]:
    """The convolution that is nearest, in least squares, to the encoder's Jacobian at these pictures.

    That is the mean over all positions of a latent's derivative by the pixels around it. One backward pass a channel
    sees every position at once: random signs on the latents, undone at the pixels of each, leave its own derivative and
    the neighbours' with random signs, which average out.
    """
    generator = draw_generator(seed, "mean jacobian", 0)
    with torch.enable_grad():
        inputs = images.detach().clone().requires_grad_()
        latents = encode(inputs)
    views, channels, height, width = latents.shape
    stride, across = images.shape[-1] // width, 2 * NEIGHBOURS + 1
    windows = dict(kernel_size=across * stride, stride=stride, padding=NEIGHBOURS * stride)
    seen = F.unfold(torch.ones_like(inputs), **windows).sum((0, 2))
    sums = latents.new_zeros(channels, len(seen))
    for channel in [channel for channel in range(channels) for _ in range(draws)]:
        signs = torch.randint(0, 2, (views, height, width), generator=generator).to(latents) * 2 - 1
        cotangent = torch.zeros_like(latents)
        cotangent[:, channel] = signs
        (pulled,) = torch.autograd.grad(latents, inputs, cotangent, retain_graph=True)
        sums[channel] += (F.unfold(pulled, **windows) * signs.flatten(1)[:, None]).sum((0, 2))
    return (sums / (draws * seen)).unflatten(1, (-1, across * stride, across * stride))
