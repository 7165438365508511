"""Whether views agree on one object: a field is fitted to all of them, and rendered from the same cameras.

The repository's own field and renderer, small and fitted for the same number of steps whatever the views are, so that
what a fit leaves over tells how far they contradict each other. The number to compare with is that of true views; a
ring of 16 true views in wrong order is still fitted to about 24 dB, since white background agrees with any other.
"""

from dataclasses import dataclass
from typing import Any

import torch
from cascade_zero123.common.seeding import draw_generator
from jaxtyping import Float
from torch import Tensor

from threestudio import cameras
from threestudio.models.background.solid_color_background import SolidColorBackground
from threestudio.models.geometry.implicit_volume import ImplicitVolume
from threestudio.models.materials.no_material import NoMaterial
from threestudio.models.renderers.nerf_volume_renderer import NeRFVolumeRenderer

RADIUS = 0.7  # half the side of the box that holds the object, in world units
GEOMETRY = {
    "radius": RADIUS,
    "normal_type": None,
    "density_bias": -2.0,  # thin fog
    "pos_encoding_config": {
        "otype": "HashGrid",
        "n_levels": 4,
        "n_features_per_level": 2,
        "log2_hashmap_size": 15,
        "base_resolution": 8,
        "per_level_scale": 1.8,  # finest level 47 cells a side: a pixel of 64
    },
    "mlp_network_config": {
        "otype": "VanillaMLP",
        "activation": "ReLU",
        "output_activation": "none",
        "n_neurons": 16,
        "n_hidden_layers": 1,
    },
}
RENDERER = {
    "radius": RADIUS,
    "num_samples_per_ray": 40,
    "prune_in_training": False,
    "grid_update_every": 16,
    "grid_decay": 0.9,
}
LEARNING_RATE, LAST_RATE = 0.03, 0.003
RAYS = 1536  # a step


def settings() -> dict[str, Any]:
    """All that a fit depends on beside the views, the number of steps and the seed."""
    return {"geometry": GEOMETRY, "renderer": RENDERER, "rates": [LEARNING_RATE, LAST_RATE], "rays": RAYS}


@dataclass(frozen=True)
class Ring:
    """Cameras of the views; `fovy_deg` is the vertical field of view."""

    c2w: Float[Tensor, "view 4 4"]
    fovy_deg: float

    def rays(self, size: int) -> tuple[Float[Tensor, "view h w 3"], Float[Tensor, "view h w 3"]]:
        return cameras.rays(self.c2w, torch.full((len(self.c2w),), self.fovy_deg), size, size)


def reprojected(images: Float[Tensor, "view 3 h w"], ring: Ring, steps: int, seed: int) -> Float[Tensor, "view 3 h w"]:
    """The field that was fitted to all of `images` ([0, 1], on white), from the same cameras."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        geometry, material = ImplicitVolume(GEOMETRY), NoMaterial({})
    renderer = NeRFVolumeRenderer(RENDERER, geometry=geometry, material=material, background=SolidColorBackground({}))
    origins, directions = ring.rays(images.shape[-1])
    # Components choose their own device: CUDA where there is one.
    place = geometry.bbox.device
    modules = [module.to(place) for module in (geometry, material, renderer)]
    origins, directions, images = origins.to(place), directions.to(place), images.to(place)
    fit(modules, origins.reshape(-1, 3), directions.reshape(-1, 3), images.movedim(1, -1).reshape(-1, 3), steps, seed)
    with torch.no_grad():
        rendered = renderer(origins, directions, origins[:, 0, 0])["comp_rgb"]
    return rendered.movedim(-1, 1).cpu()


def fit(
    modules: list,
    origins: Float[Tensor, "ray 3"],
    directions: Float[Tensor, "ray 3"],
    colors: Float[Tensor, "ray 3"],
    steps: int,
    seed: int,
) -> None:
    """Squared error of random pixels of all views; `modules` are the geometry, the material and the renderer."""
    geometry, _, renderer = modules
    optimizer = torch.optim.Adam(geometry.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), eps=1e-15)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=LAST_RATE)
    for module in modules:
        module.train()
    for step in range(steps):
        renderer.do_update_step(0, step)
        pick = torch.randint(len(colors), (RAYS,), generator=draw_generator(seed, "ring rays", step)).to(colors.device)
        rays_o, rays_d = origins[pick][None, :, None], directions[pick][None, :, None]
        rendered = renderer(rays_o, rays_d, rays_o[:, 0, 0])["comp_rgb"][0, :, 0]
        loss = (rendered - colors[pick]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for module in modules:
        module.eval()
