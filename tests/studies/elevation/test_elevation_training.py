"""The training of the elevation network, in miniature."""

import numpy as np
import pytest
import torch

from studies.elevation.scores import report
from studies.elevation.trainer import Training, target, train
from studies.elevation.views import ViewSet, boxes, training_batch, usual
from threestudio.elevation.network import CENTRES_DEG, OBJECT_RATIO, SIZE


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """Boxes that are the flatter the lower they are looked at from, six objects with four views each."""
    folder = tmp_path_factory.mktemp("views")
    rng = np.random.default_rng(0)
    angles = np.zeros((6, 4, 3), np.float32)
    angles[..., 0] = rng.uniform(-10, 60, (6, 4))
    images = np.zeros((6, 4, 64, 64, 4), np.uint8)
    for thing, view in np.ndindex(6, 4):
        half = int(6 + 0.3 * (angles[thing, view, 0] + 10))
        images[thing, view, 32 - half : 32 + half, 12:52] = (200, 120, 40, 255)
    np.save(folder / "angles.npy", angles)
    np.save(folder / "images.npy", images)
    return ViewSet([folder])


def test_views_are_framed_as_prepared_pictures_are(views):
    centre, half = boxes(usual(views.rgba(range(8)))[:, 3])
    assert torch.allclose(half, torch.full((8,), OBJECT_RATIO), atol=2.1 / SIZE) and centre.abs().max() < 2.1 / SIZE


def test_a_batch_is_drawn_from_seed_and_step_alone(views):
    first, again, other = (training_batch(views, 4, 0, step) for step in (7, 7, 8))
    assert torch.equal(first[0], again[0]) and not torch.equal(first[0], other[0])
    assert first[0].min() >= 0 and first[0].max() <= 1


def test_the_target_is_a_bell_around_the_truth():
    bell = target(torch.tensor([20.0, 22.5]))
    assert bell.sum(dim=1).allclose(torch.ones(2)) and bell[0].argmax() == CENTRES_DEG.index(20.0)
    assert bell[1, CENTRES_DEG.index(20.0)] == pytest.approx(float(bell[1, CENTRES_DEG.index(25.0)]))


def test_training_learns_what_the_pictures_show(views):
    network = train(Training(steps=60, batch_size=8, warm_up=5, average=0.9), views, [])
    table = report(network.eval(), {"boxes": views}).split("\n")[2]
    error, always = (float(table.split("|")[column]) for column in (3, 5))
    assert error < 0.7 * always
