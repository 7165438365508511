"""One training rendering, forward and backward, with and without skipping empty and hidden space.

    python benchmarks/render.py [threads]

Four views of 64 x 64 pixels, 64 samples a ray, of an opaque ball that fills 15 % of the box.
"""

import sys
import time

import torch

from threestudio import find
from threestudio.cameras import orbit, rays

VIEWS, SIZE, REPEATS = 4, 64, 3
GEOMETRY = {
    "density_bias": "blob_magic3d",
    "density_blob_scale": 400.0,
    "density_blob_std": 0.66,
    "normal_type": "analytic",
    "pos_encoding_config": {
        "otype": "HashGrid",
        "n_levels": 10,
        "log2_hashmap_size": 15,
        "base_resolution": 16,
        "per_level_scale": 1.32,
    },
    "mlp_network_config": {"otype": "VanillaMLP", "n_neurons": 32, "n_hidden_layers": 1},
}


def build(**config):
    geometry = find("implicit-volume")(GEOMETRY)
    parts = {
        "geometry": geometry,
        "material": find("no-material")({}),
        "background": find("solid-color-background")({}),
    }
    renderer = find("nerf-volume-renderer")({"num_samples_per_ray": 64, **config}, **parts).train()
    for step in range(0, 256, 16):
        renderer.update_step(0, step)
    return renderer


def seconds(renderer, **kwargs):
    """The fastest of some repeats: forward, backward, and the number of samples."""
    azimuth = torch.arange(VIEWS) * 360.0 / VIEWS
    c2w = orbit(torch.full((VIEWS,), 10.0), azimuth, torch.full((VIEWS,), 3.8))
    rays_o, rays_d = rays(c2w, torch.full((VIEWS,), 20.0), SIZE, SIZE)
    best = [float("inf")] * 2
    for _ in range(REPEATS):
        start = time.perf_counter()
        out = renderer(rays_o, rays_d, c2w[:, :3, 3], **kwargs)
        middle = time.perf_counter()
        (out["comp_rgb"].square().mean() + out["opacity"].mean()).backward()
        best = [min(best[0], middle - start), min(best[1], time.perf_counter() - middle)]
    return *best, len(out["weights"])


def main(threads: int = 2) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    runs = {
        "all samples": seconds(build(grid_prune=False)),
        "occupied cells": seconds(build(prune_alpha_threshold=False)),
        "occupied and visible": seconds(build()),
        ".. with normals": seconds(build(), output_normal=True),
    }
    print(f"{VIEWS} views of {SIZE} x {SIZE}, {threads} threads; forward + backward in ms, samples")
    for name, (forward, backward, samples) in runs.items():
        print(f"  {name:22s}{1e3 * forward:8.1f} + {1e3 * backward:8.1f}{samples:10d}")
    whole, pruned = (sum(runs[name][:2]) for name in ("all samples", "occupied and visible"))
    print(f"ratio all / occupied and visible: {whole / pruned:.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
