"""The model that ships with the project: small enough, complete, and better than no model at all."""

from pathlib import Path

import pytest
import torch
from cascade_zero123.cascade.context import EncodedViews
from cascade_zero123.training.psnr import psnr
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.sampler import noise_like_latents, predict_in_one_step
from cascade_zero123.zero123.weights.loading import load_zero123
from cascade_zero123.zero123.white import on_white

from studies.objects import make_object, object_seed
from threestudio.cameras import orbit
from threestudio.mesh.renderer import render_mesh

FOLDER = Path(__file__).parents[1] / "load" / "cascade-zero123-tiny"
OBJECTS = 12


def camera(elevation_deg: float, azimuth_deg: float) -> Cameras:
    return Cameras.one(elevation_deg, azimuth_deg, 3.8)


def view(index: int, at: Cameras) -> Views:
    c2w = orbit(*at.as_tensor())
    rgba = render_mesh(make_object(object_seed("test", index)), c2w, 20.0, 64, 64, shading="diffuse")
    return Views(on_white(torch.from_numpy(rgba).movedim(-1, 1).float() / 255), at)


def predicted(model, shown: list[Views], target: Cameras, noise: torch.Tensor) -> torch.Tensor:
    context = EncodedViews.of(model, Views.join(shown)[None]).context(model, target[None])
    return model.decode(predict_in_one_step(model, context, noise))


def test_it_stays_below_25_megabytes():
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) < 25e6


@pytest.mark.parametrize("name", ["base", "refiner"])
def test_its_prediction_is_closer_to_another_view_than_the_source_is(name):
    model, source_camera, target_camera = load_zero123(FOLDER / name), camera(10.0, 20.0), camera(15.0, 110.0)
    noise = noise_like_latents(model, 1, seed=0, device=torch.device("cpu"))
    gains = []
    for index in range(OBJECTS):
        source, target = view(index, source_camera), view(index, target_camera).pictures
        made = predicted(model, [source], target_camera, noise)
        gains.append(psnr(made, target) - psnr(source.pictures, target))
    assert torch.cat(gains).mean() > 1.0, "dB, on held-out objects"


def test_the_refiner_reads_its_context():
    """True views from nearby cameras tell it more than the source alone, and the target itself much more."""
    model = load_zero123(FOLDER / "refiner")
    source, target = camera(10.0, 20.0), camera(15.0, 110.0)
    nearby = [camera(10.0, 65.0), camera(10.0, -25.0), camera(40.0, 20.0)]
    noise = noise_like_latents(model, 1, seed=0, device=torch.device("cpu"))
    scores: dict[str, list[torch.Tensor]] = {"alone": [], "nearby": [], "target": []}
    for index in range(OBJECTS):
        truth = view(index, target).pictures
        for name, more in (("alone", []), ("nearby", nearby), ("target", [target])):
            shown = [view(index, at) for at in (source, *more)]
            scores[name].append(psnr(predicted(model, shown, target, noise), truth))
    alone, near, shown = (torch.cat(values).mean().item() for values in scores.values())
    assert near > alone + 0.5, "dB, on held-out objects"
    assert shown > near + 1.0
