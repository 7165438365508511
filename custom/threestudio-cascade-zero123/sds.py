"""Score distillation: what a denoiser's opinion of a noised rendering asks of the rendering's latents.

DreamFusion (Poole et al. 2023): grad = w(t) (eps_hat - eps), without the Jacobian of the denoiser. With
x_t = sqrt(a) z + sqrt(1 - a) eps = sqrt(a) x0_hat + sqrt(1 - a) eps_hat this is, up to the weight, the residual of the
denoised prediction:

    z - x0_hat = sqrt((1 - a) / a) (eps_hat - eps)

so the two weightings here are one gradient with two w(t):
    "sds": w = 1 - a, DreamFusion's; falls to nothing in x0 terms at high noise, where a -> 0;
    "x0":  w = sqrt((1 - a) / a), the plain residual z - x0_hat; the same pull at every noise level, also at a = 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

WEIGHTINGS = ("sds", "x0")


def sds_gradient(
    latents: Float[Tensor, "view c h w"],
    noise: Float[Tensor, "view c h w"],
    predicted_x0: Float[Tensor, "view c h w"],
    predicted_noise: Float[Tensor, "view c h w"],
    alpha_bar: Float[Tensor, "view"],
    weighting: str,
) -> Float[Tensor, "view c h w"]:
    """w(t) (eps_hat - eps) on the latents of the rendering; not finite values (overflow in half precision) become 0."""
    if weighting == "x0":
        gradient = latents - predicted_x0
    elif weighting == "sds":
        gradient = (1 - alpha_bar)[:, None, None, None] * (predicted_noise - noise)
    else:
        raise ValueError(f'weighting "{weighting}"; known are {" and ".join(WEIGHTINGS)}')
    return torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)


def loss_with_gradient(
    latents: Float[Tensor, "view c h w"], gradient: Float[Tensor, "view c h w"]
) -> Float[Tensor, ""]:
    """A scalar whose derivative by the latents is `gradient` / views; its value is half the gradient's mean energy."""
    target = (latents - gradient).detach()
    return 0.5 * (latents - target).square().sum() / len(latents)
