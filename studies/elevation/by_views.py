"""The elevation without training: views are predicted around the picture, and fitted under each candidate elevation.

The pose token of a published Zero-1-to-3 is relative, so its predictions do not depend on the elevation; where they
lie in the world does. The candidate under which one small field explains them all best wins (One-2-3-45 compares
features for the same reason). It was measured beside the trained network, and lost: docs/results.md.

    python studies/elevation/by_views.py load/cascade-zero123-tiny/base data/val data/real-val --objects 12
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from cascade_zero123.zero123.model import Zero123
from jaxtyping import Float
from torch import Tensor

from studies.elevation.views import ViewSet
from threestudio import cameras
from threestudio.extensions import load_extensions

ROOT = Path(__file__).resolve().parents[2]
CANDIDATES_DEG = (-5.0, 5.0, 15.0, 25.0, 35.0, 45.0, 55.0)
OFFSETS_DEG = ((45.0, 0.0), (-45.0, 0.0), (90.0, 0.0), (-90.0, 0.0), (0.0, 25.0), (0.0, -25.0), (180.0, 0.0))
SIDE, SAMPLES, CELLS, STEPS = 24, 32, 20, 50  # pixels and samples of a ray, cells and steps of the field
REACH = 0.7  # half a side of the field's box, world units
FOVY_DEG, DISTANCE = 20.0, 3.8


def elevation_by_views(model: Zero123, rgba: Float[Tensor, "4 h w"]) -> float:
    """Degrees; a parabola through the best candidate and its neighbours."""
    views = predicted(model, rgba)
    losses = np.array([misfit(views, candidate) for candidate in CANDIDATES_DEG])
    best = int(losses.argmin())
    if best in (0, len(losses) - 1):
        return CANDIDATES_DEG[best]
    before, here, after = losses[best - 1 : best + 2]
    shift = 0.5 * (before - after) / max(before - 2 * here + after, 1e-12)
    return CANDIDATES_DEG[best] + shift * (CANDIDATES_DEG[1] - CANDIDATES_DEG[0])


@torch.no_grad()
def predicted(model: Zero123, rgba: Float[Tensor, "4 h w"]) -> Float[Tensor, "view 3 s s"]:
    """The picture and the views around it, on white; of a model whose poses are relative."""
    from cascade_zero123.cascade.source import view_for
    from cascade_zero123.cascade.stages import Sampling, sample_views
    from cascade_zero123.views import Cameras, Views
    from cascade_zero123.zero123.sampler import noise_like_latents

    source = view_for(model, rgba.permute(1, 2, 0), Cameras.one(0.0, 0.0, DISTANCE))
    around = source.cameras.beside(OFFSETS_DEG)
    noise = noise_like_latents(model, len(around), 0, rgba.device)
    views = sample_views(model, source[None], around[None], noise, Sampling(steps=1, scale=1.0, seed=0))[0]
    return F.interpolate(Views.join([source, views]).colors, (SIDE, SIDE), mode="area")


def misfit(views: Float[Tensor, "view 3 s s"], elevation_deg: float) -> float:
    """What a grid of densities and colours cannot explain of the views, if the picture was taken from there."""
    rays_o, rays_d = rays(elevation_deg)
    points = (rays_o[..., None, :] + rays_d[..., None, :] * depths()[:, None]) / REACH
    inside = (points.abs().amax(dim=-1) < 1).float()
    grid = torch.zeros(1, 4, CELLS, CELLS, CELLS)
    grid[:, 0] = -2.0
    grid.requires_grad_()
    optimizer = torch.optim.Adam([grid], 0.2)
    for _ in range(STEPS):
        loss = F.mse_loss(rendered(grid, points, inside), views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def rays(elevation_deg: float) -> tuple[Float[Tensor, "view s s 3"], Float[Tensor, "view s s 3"]]:
    azimuth, elevation = torch.tensor(((0.0, 0.0), *OFFSETS_DEG)).T
    distance = torch.full_like(azimuth, DISTANCE)
    c2w = cameras.orbit((elevation + elevation_deg).clamp(-89, 89), azimuth, distance)
    return cameras.rays(c2w, torch.full_like(azimuth, FOVY_DEG), SIDE, SIDE)


def depths() -> Float[Tensor, "sample"]:
    reach = REACH * 3**0.5
    return torch.linspace(DISTANCE - reach, DISTANCE + reach, SAMPLES)


def rendered(grid: Tensor, points: Tensor, inside: Tensor) -> Float[Tensor, "view 3 s s"]:
    """Composited front to back on white."""
    values = F.grid_sample(grid, points.reshape(1, 1, 1, -1, 3), align_corners=False)[0, :, 0, 0]
    values = values.reshape(4, *inside.shape)
    step = 2 * REACH * 3**0.5 / SAMPLES
    alpha = 1 - torch.exp(-10 * step * F.softplus(values[0]) * inside)
    passed = torch.cumprod(torch.cat([torch.ones_like(alpha[..., :1]), 1 - alpha[..., :-1]], dim=-1), dim=-1)
    weights = alpha * passed
    colours = (weights * values[1:].sigmoid()).sum(dim=-1) + (1 - weights.sum(dim=-1))
    return colours.permute(1, 0, 2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--objects", type=int, default=12, help="of each folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    load_extensions(ROOT / "custom")
    from cascade_zero123.zero123.weights.loading import load_zero123

    model = load_zero123(options.weights)
    for folder in options.folders:
        views = ViewSet([folder])
        indices = views.first_of_each(options.objects)
        found = np.array([elevation_by_views(model, views.rgba([index])[0]) for index in indices])
        truth = views.elevation_deg[torch.from_numpy(indices)].numpy()
        error, always = np.abs(found - truth), np.abs(10.0 - truth)
        print(
            f"{folder.name}: {len(indices)} objects, mean error {error.mean():.1f}, always 10 {always.mean():.1f}",
            flush=True,
        )
