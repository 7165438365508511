"""What cheaper gradients of a trained encoder are worth: their cosine with the exact one, on the rendering.

    python benchmarks/encoder_gradient.py VIEWS_DIR [--steps 1500] [--objects 32]

benchmarks/guidance.py has the cost of `linear` and `small` (zero123/encoding.py) at the published size, with random
weights. No published weights can be shipped, so here an autoencoder of the published structure, narrower, is trained
for a few minutes on packed views (scripts/render_views.py --packed), and asked on views of objects that it has not
seen. Two gradients on the latents are pulled back: the residual between a rendering and the true view, which is what
SDS tends to (the rendering is the view, blurred and tinted), and noise, which is most of what one step of SDS has.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from threestudio.extensions import load_extensions  # noqa: E402

load_extensions(ROOT / "custom")

from cascade_zero123.common.seeding import draw_generator  # noqa: E402
from cascade_zero123.training.rendered_views import PackedViews  # noqa: E402
from cascade_zero123.zero123.architecture import PUBLISHED  # noqa: E402
from cascade_zero123.zero123.encoding import Encoding  # noqa: E402
from cascade_zero123.zero123.white import on_white  # noqa: E402

from studies.metrics import psnr  # noqa: E402

NARROW = {"block_out_channels": (16, 32, 64, 64), "layers_per_block": 1, "norm_num_groups": 8}
BATCH, LEARNING_RATE, KL_WEIGHT = 8, 1e-3, 1e-6  # the weight is Stable Diffusion's
FITTED = 4  # views that `linear` is shown, as a run shows it the source and three prompts
BLUR = 4  # to this fraction of the resolution and back
TINT = (0.05, -0.03, 0.02)


def images_of(views: PackedViews, objects: Tensor, column: int) -> Tensor:
    """[b 3 h w] in [0, 1]."""
    return on_white(views.rgba(objects, torch.full((len(objects), 1), column)))[:, 0]


def trained(views: PackedViews, objects: int, steps: int) -> AutoencoderKL:
    """On all but the last `objects`; as Rombach et al. (2022), without their discriminator and perceptual loss."""
    torch.manual_seed(0)
    vae = AutoencoderKL(**{**PUBLISHED.vae, **NARROW, "sample_size": views.image_size})
    optimizer = torch.optim.AdamW(vae.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.05)
    for step in tqdm(range(steps), unit="step", desc="autoencoder"):
        generator = draw_generator(0, "autoencoder", step)
        drawn = torch.randint(len(views) - objects, (BATCH,), generator=generator)
        column = int(torch.randint(views.view_count, (), generator=generator))
        images = 2 * images_of(views, drawn, column) - 1
        posterior = vae.encode(images).latent_dist
        latents = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=generator)
        loss = F.l1_loss(vae.decode(latents).sample, images) + KL_WEIGHT * posterior.kl().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return vae.eval().requires_grad_(False)


class Latents:
    """What `Encoding` asks of a Zero-1-to-3."""

    def __init__(self, vae: AutoencoderKL, side: int) -> None:
        self.vae, self.latent_shape = vae, (vae.config.latent_channels, side, side)

    def target_latents(self, images: Tensor) -> Tensor:
        return self.vae.encode(2 * images - 1).latent_dist.mode() * self.vae.config.scaling_factor


def rendering_of(truth: Tensor) -> Tensor:
    coarse = F.interpolate(truth, scale_factor=1 / BLUR, mode="area")
    blurred = F.interpolate(coarse, truth.shape[-2:], mode="bilinear", align_corners=False)
    return (blurred + torch.tensor(TINT)[:, None, None]).clamp(0, 1)


def pulled_back(encoding: Encoding, truth: Tensor, noise: Tensor | None) -> Tensor:
    """The gradient on the rendering of `noise` on its latents, or of their residual to the truth's."""
    rendering = rendering_of(truth).requires_grad_()
    latents = encoding(rendering)
    with torch.no_grad():
        wanted = latents - encoding(truth) if noise is None else noise
    return torch.autograd.grad(latents, rendering, wanted)[0]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", type=Path, metavar="VIEWS_DIR")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--objects", type=int, default=32, help="held out, the last so many [32]")
    arguments = parser.parse_args(argv)
    views = PackedViews(str(arguments.views))
    vae = trained(views, arguments.objects, arguments.steps)
    held_out = torch.arange(len(views) - arguments.objects, len(views))
    truth = images_of(views, held_out, 0)
    with torch.no_grad():
        latents = vae.encode(2 * truth - 1).latent_dist.mode()
        quality = psnr((0.5 * vae.decode(latents).sample + 0.5).clamp(0, 1), truth).mean()
    print(f"{arguments.steps} steps, {views.image_size} px, reconstruction of held-out views {float(quality):.1f} dB")
    model: Any = Latents(vae, latents.shape[-1])
    noise = torch.randn(latents.shape, generator=draw_generator(0, "noise", 0))
    for gradient in ("linear", "small"):
        cosines: dict[str, list[Tensor]] = {"residual": [], "noise": []}
        for place in range(len(truth)):
            one, shown = truth[place : place + 1], [(place + step) % len(truth) for step in range(FITTED)]
            exact, cheap = Encoding(model), Encoding(model, gradient)
            cheap.fit(truth[shown])
            for kind, pulled in (("residual", None), ("noise", noise[place : place + 1])):
                true, fitted = (pulled_back(encoding, one, pulled).flatten() for encoding in (exact, cheap))
                cosines[kind].append(F.cosine_similarity(true, fitted, dim=0))
        means = ", ".join(f"{kind} {float(torch.stack(values).mean()):.3f}" for kind, values in cosines.items())
        print(f"{gradient}: cosine with the exact gradient: {means}")


if __name__ == "__main__":
    main()
