"""Random cameras are functions of (seed, step) within their ranges; the turntable is fixed."""

import math

import numpy as np
import pytest
import torch

import threestudio
from threestudio.data.uncond import (
    RandomCameraDataModuleConfig,
    RandomCameraDataset,
    RandomCameraIterableDataset,
)
from threestudio.errors import UserError
from threestudio.utils.config import parse_structured
from threestudio.utils.misc import set_seed

STILL = {"camera_perturb": 0.0, "center_perturb": 0.0, "up_perturb": 0.0}


@pytest.fixture(autouse=True)
def seed():
    set_seed(0)
    yield
    set_seed(0)


def config(**keys):
    return parse_structured(RandomCameraDataModuleConfig, {"height": 4, "width": 6, "batch_size": 16} | keys)


def random_cameras(**keys):
    return RandomCameraIterableDataset(config(**keys))


def all_views(dataset, key, steps=60):
    return torch.cat([dataset.batch(step)[key] for step in range(steps)])


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key], key


def test_a_batch_depends_on_seed_and_step_alone():
    first = random_cameras().batch(7)
    dataset = random_cameras()
    dataset.batch(3)
    torch.rand(5)
    assert_same(first, dataset.batch(7))
    assert not torch.equal(first["azimuth"], dataset.batch(8)["azimuth"])
    set_seed(1)
    assert not torch.equal(first["azimuth"], dataset.batch(7)["azimuth"])


def test_iteration_goes_on_at_the_step_it_was_told():
    dataset = random_cameras()
    dataset.do_update_step(0, 40)
    steps = iter(dataset)
    assert [next(steps), next(steps)] == [40, 41]
    assert_same(dataset.collate(), dataset.batch(40))


def test_a_batch_has_the_shapes_of_upstream():
    batch = random_cameras().batch(0)
    shapes = {key: tuple(value.shape) for key, value in batch.items() if torch.is_tensor(value)}
    assert shapes == {
        "rays_o": (16, 4, 6, 3),
        "rays_d": (16, 4, 6, 3),
        "mvp_mtx": (16, 4, 4),
        "proj_mtx": (16, 4, 4),
        "c2w": (16, 4, 4),
        "camera_positions": (16, 3),
        "light_positions": (16, 3),
        "elevation": (16,),
        "azimuth": (16,),
        "camera_distances": (16,),
        "fovy": (16,),
        "fovy_deg": (16,),
    }
    assert (batch["height"], batch["width"]) == (4, 6)
    assert torch.allclose(batch["rays_d"].norm(dim=-1), torch.ones(16, 4, 6))


def test_every_draw_stays_within_its_range():
    ranges = {"elevation_range": [-10, 80], "azimuth_range": [-30, 50], "camera_distance_range": [3, 4]}
    dataset = random_cameras(fovy_range=[20, 25], **ranges, **STILL)
    for key, (low, high) in {
        "elevation": (-10, 80),
        "azimuth": (-30, 50),
        "camera_distances": (3, 4),
        "fovy": (math.radians(20), math.radians(25)),
        "fovy_deg": (20, 25),
    }.items():
        values = all_views(dataset, key)
        assert low - 1e-4 <= values.min() and values.max() <= high + 1e-4
        assert values.max() - values.min() > 0.9 * (high - low)


def test_without_perturbation_the_position_is_the_angles():
    batch = random_cameras(**STILL).batch(0)
    x, y, z = batch["camera_positions"].T
    assert torch.allclose(torch.rad2deg(torch.atan2(z, torch.hypot(x, y))), batch["elevation"], atol=1e-3)
    turn = torch.rad2deg(torch.atan2(y, x)) - batch["azimuth"]
    assert torch.allclose((turn + 180) % 360 - 180, torch.zeros(16), atol=1e-3)
    assert torch.allclose(batch["camera_positions"].norm(dim=-1), batch["camera_distances"])


def test_perturbation_moves_the_camera_within_its_bound():
    still = all_views(random_cameras(**STILL), "camera_positions")
    moved = all_views(random_cameras(**STILL | {"camera_perturb": 0.1}), "camera_positions")
    assert 0.09 < (moved - still).abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize("sampling", ["uniform", "sphere"])
def test_elevation_sampling_is_uniform_in_the_angle_or_on_the_sphere(sampling):
    dataset = random_cameras(elevation_sampling=sampling, elevation_range=[-10, 80])
    elevation_deg = all_views(dataset, "elevation", 200)
    measure = elevation_deg if sampling == "uniform" else torch.sin(torch.deg2rad(elevation_deg))
    low, high = (-10.0, 80.0) if sampling == "uniform" else np.sin(np.radians([-10.0, 80.0]))
    counts = torch.histc(measure, bins=8, min=float(low), max=float(high)) / len(measure)
    assert (counts - 1 / 8).abs().max() < 0.03


def test_batch_uniform_azimuth_puts_one_view_in_each_sector():
    dataset = random_cameras(batch_uniform_azimuth=True, azimuth_range=[-180, 180])
    sectors = torch.floor((dataset.batch(0)["azimuth"] + 180) / (360 / 16)).int()
    assert sectors.tolist() == list(range(16))


def test_progressive_ranges_open_from_the_front_view():
    dataset = random_cameras(progressive_until=99, eval_elevation_deg=15.0, elevation_range=[-10, 90])
    assert dataset.progressive_ranges(0) == ((15, 15), (0, 0))
    assert dataset.progressive_ranges(50) == ((2.5, 52.5), (-90, 90))
    assert dataset.progressive_ranges(1000) == ((-10, 90), (-180, 180))
    assert random_cameras(elevation_range=[-10, 90]).progressive_ranges(0) == ((-10, 90), (-180, 180))


@pytest.mark.parametrize("strategy", ["dreamfusion", "magic3d"])
def test_lights_are_at_their_distance_on_the_cameras_side(strategy):
    keys = {"light_sample_strategy": strategy, "light_distance_range": [7, 10], "light_position_perturb": 0.1}
    dataset = random_cameras(**keys, **STILL)
    lights, positions = all_views(dataset, "light_positions"), all_views(dataset, "camera_positions")
    distance = lights.norm(dim=-1)
    assert distance.min() >= 7 - 1e-4 and distance.max() <= 10 + 1e-4
    assert torch.cosine_similarity(lights, positions, dim=-1).min() >= 0.5 - 1e-4


def test_resolution_and_batch_size_follow_the_milestones():
    dataset = random_cameras(height=[4, 8], width=[4, 8], batch_size=[6, 2], resolution_milestones=[10])
    assert dataset.batch(9)["rays_o"].shape == (6, 4, 4, 3)
    assert dataset.batch(10)["rays_o"].shape == (2, 8, 8, 3)


def test_unknown_strategies_are_named():
    with pytest.raises(UserError) as caught:
        random_cameras(elevation_sampling="polar")
    assert str(caught.value) == 'config: elevation_sampling: "polar" is unknown; known are mixed, sphere, uniform'


def test_the_turntable_is_even_and_starts_at_the_front():
    val = RandomCameraDataset(config(n_val_views=4, eval_elevation_deg=10.0), "val")
    assert [val[index]["azimuth"].item() for index in range(4)] == [0, 90, 180, 270]
    assert all(val[index]["elevation"].item() == 10 for index in range(4))
    test = RandomCameraDataset(config(n_test_views=5), "test")
    assert [round(test[index]["azimuth"].item()) for index in range(5)] == [0, 90, 180, 270, 360]


def test_a_turntable_batch_has_its_index_and_plain_numbers_for_the_size():
    keys = {"eval_height": 8, "eval_width": 10, "n_val_views": 3, "n_test_views": 3}
    module = threestudio.find("random-camera-datamodule")({"height": 4, "width": 4} | keys)
    module.setup("validate")
    batches = list(module.val_dataloader())
    assert [batch["index"].item() for batch in batches] == [0, 1, 2]
    assert (batches[0]["height"], batches[0]["width"]) == (8, 10)
    assert batches[0]["rays_o"].shape == (1, 8, 10, 3) and batches[0]["c2w"].shape == (1, 4, 4)


def test_a_misspelt_key_is_refused():
    with pytest.raises(UserError, match="unknown key elevation_rang; did you mean elevation_range?"):
        config(elevation_rang=[0, 1])
