"""The truth-teller as one Zero-1-to-3: all of it is the method's own but U-Net, autoencoder and image encoder."""

from typing import Any

import torch
from cascade_zero123.views import Cameras
from cascade_zero123.zero123.architecture import PUBLISHED
from cascade_zero123.zero123.model import Settings, Zero123
from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor, nn

from studies.meshes.scores import Truth
from studies.objects import make_object, object_seed
from studies.truth_teller.autoencoder import PATCH, LinearAutoencoder
from studies.truth_teller.denoiser import TOKEN, Mind, TrueDenoiser
from studies.truth_teller.moments import Moments
from studies.truth_teller.true_views import TrueViews

MEAN_OF_OBJECTS, MEAN_AZIMUTHS_DEG = 12, (0.0, 90.0, 180.0, 270.0)


def truth_teller(mind: Mind, prediction_type: str = "epsilon") -> Zero123:
    """One that shows what is in this mind, in pictures of its size; `prediction_type` as the scheduler names it."""
    size = mind.true.size
    scheduler: Any = DDIMScheduler(**PUBLISHED.scheduler | {"prediction_type": prediction_type})
    settings = Settings(
        image_size=size,
        fovy_deg=mind.true.fovy_deg,
        camera_distance=float(mind.source.distance),
        cond_elevation_deg=float(mind.source.elevation_deg),
        notice="a study's truth-teller stands in for the weights",
    )
    denoiser = TrueDenoiser(mind, LinearAutoencoder().scaled_latents, scheduler, size // PATCH)
    parts = denoiser, LinearAutoencoder(), Moments(size), identity(TOKEN)
    return Zero123(*parts, dict(scheduler.config), settings).eval().requires_grad_(False)


def identity(width: int) -> nn.Linear:
    """In `cc_projection`'s place: the denoiser reads what the tokens are made of."""
    layer = nn.Linear(width, width, bias=False)
    nn.init.eye_(layer.weight)
    return layer


@torch.no_grad()
def mean_object(fovy_deg: float, size: int, elevation_deg: float, distance: float) -> Float[Tensor, "3 h w"]:
    """The mean picture of generated training objects, on white: what a model expects that is shown nothing."""
    azimuths = torch.tensor(MEAN_AZIMUTHS_DEG)
    at = Cameras(torch.full_like(azimuths, elevation_deg), azimuths, torch.full_like(azimuths, distance))
    truths = (Truth(make_object(object_seed("train", index))) for index in range(MEAN_OF_OBJECTS))
    return torch.stack([TrueViews(truth, fovy_deg, size).pictures(at).mean(0) for truth in truths]).mean(0)
