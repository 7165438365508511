"""The model that ships with the project: small enough, complete, and better than no model at all."""

from pathlib import Path

import pytest
import torch
from cascade_zero123.cascade.context import Cascade, joined
from cascade_zero123.metrics.psnr import psnr
from cascade_zero123.objects import make_object, object_seed
from cascade_zero123.zero123.pose import Pose
from cascade_zero123.zero123.sampler import noise_like_latents, predict_in_one_step
from cascade_zero123.zero123.weights import load_zero123
from cascade_zero123.zero123.white import on_white

from threestudio.cameras import orbit
from threestudio.models.mesh_renderer import render_mesh

FOLDER = Path(__file__).parents[1] / "load" / "cascade-zero123-tiny"
OBJECTS = 12


def pose(elevation_deg: float, azimuth_deg: float) -> Pose:
    return Pose(*(torch.tensor([value]) for value in (elevation_deg, azimuth_deg, 3.8)))


def view(index: int, camera: Pose) -> torch.Tensor:
    rgba = render_mesh(make_object(object_seed("test", index)), orbit(*camera), 20.0, 64, 64, shading="diffuse")
    return on_white(torch.from_numpy(rgba).movedim(-1, 1).float() / 255)


def test_it_stays_below_25_megabytes():
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) < 25e6


@pytest.mark.parametrize("name", ["base", "refiner"])
def test_its_prediction_is_closer_to_another_view_than_the_source_is(name):
    model, source_pose, target_pose = load_zero123(FOLDER / name), pose(10.0, 20.0), pose(15.0, 110.0)
    noise = noise_like_latents(model, 1, seed=0, device=torch.device("cpu"))
    gains = []
    for index in range(OBJECTS):
        source, target = view(index, source_pose), view(index, target_pose)
        context = Cascade.of(model, source, source_pose).context(model, target_pose)
        predicted = model.decode(predict_in_one_step(model, context, noise))
        gains.append(psnr(predicted, target) - psnr(source, target))
    assert torch.cat(gains).mean() > 1.0, "dB, on held-out objects"


def test_the_refiner_reads_its_context():
    """True views from nearby cameras tell it more than the source alone, and the target itself much more."""
    model = load_zero123(FOLDER / "refiner")
    source_pose, target_pose = pose(10.0, 20.0), pose(15.0, 110.0)
    nearby = [pose(10.0, 65.0), pose(10.0, -25.0), pose(40.0, 20.0)]
    noise = noise_like_latents(model, 1, seed=0, device=torch.device("cpu"))
    scores: dict[str, list[torch.Tensor]] = {"alone": [], "nearby": [], "target": []}
    for index in range(OBJECTS):
        target = view(index, target_pose)
        for name, more in (("alone", []), ("nearby", nearby), ("target", [target_pose])):
            poses = [source_pose, *more]
            images = torch.cat([view(index, camera) for camera in poses])
            context = Cascade.of(model, images, joined(*poses)).context(model, target_pose)
            scores[name].append(psnr(model.decode(predict_in_one_step(model, context, noise)), target))
    alone, near, shown = (torch.cat(values).mean().item() for values in scores.values())
    assert near > alone + 0.5, "dB, on held-out objects"
    assert shown > near + 1.0
