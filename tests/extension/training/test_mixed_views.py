import numpy as np
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training.batches import RenderedViewsConfig, TrainingViews
from cascade_zero123.training.fitting_views import checked_shares, training_set
from cascade_zero123.training.mixed_views import MixedViews
from cascade_zero123.training.random_views import RandomViews
from cascade_zero123.training.rendered_views import PackedViews
from cascade_zero123.training.view_folders import ViewFolders
from cascade_zero123.zero123.model import Settings
from tiny_training import zero123s_views

from threestudio.cameras import orbit


def packed(folder, objects, views=6, first_level=0):
    """Each view is one grey level that tells which it is; each object has a distance of its own."""
    folder.mkdir()
    distance = (2.0 + first_level + torch.arange(objects)).repeat_interleave(views)
    azimuth = torch.arange(views).repeat(objects) * 30.0
    cameras = torch.linalg.inv(orbit(torch.zeros_like(azimuth), azimuth, distance))[:, :3]
    np.save(folder / "cameras.npy", cameras.reshape(objects, views, 3, 4).numpy())
    images = np.full((objects, views, 16, 16, 4), 255, np.uint8)
    images[..., :3] = (first_level + np.arange(objects))[:, None, None, None, None]
    np.save(folder / "images.npy", images)
    return PackedViews(str(folder))


@pytest.fixture
def mixed(tmp_path):
    """One set of 2 objects (levels 0, 1) and one of 100 (from 100 on)."""
    return MixedViews([packed(tmp_path / "few", 2), packed(tmp_path / "many", 100, first_level=100)], [0.75, 0.25])


def test_a_batch_draws_from_each_set_in_its_share_and_from_all_of_its_objects(mixed):
    objects = mixed.draw(4000, draw_generator(0, "test", 0))
    assert abs((objects < 2).float().mean().item() - 0.75) < 0.03
    assert set(objects.tolist()) == set(range(102))


def test_views_and_cameras_are_those_of_the_object_in_its_own_set(mixed):
    objects, views = torch.tensor([101, 0, 2, 1, 50]), torch.tensor([[0, 1], [2, 3], [4, 5], [0, 5], [3, 1]])
    levels = (mixed.rgba(objects, views)[:, :, 0, 0, 0] * 255).round()
    assert torch.equal(levels, torch.tensor([199.0, 0, 100, 1, 148])[:, None].expand(-1, 2))
    pose = mixed.cameras_of(objects, views)
    torch.testing.assert_close(pose.distance, 2.0 + levels, rtol=1e-4, atol=1e-3)
    assert torch.equal((pose.azimuth_deg.round() % 360).long(), 30 * views)


def test_batches_of_a_step_are_the_same_each_time(mixed):
    cfg = RenderedViewsConfig(batch_size=8, context_probability=1.0)
    first, again = (TrainingViews(mixed, cfg, rank=0, first_step=0).of_step(3) for _ in range(2))
    assert torch.equal(first["views"].pictures, again["views"].pictures)


def test_the_first_folder_has_what_the_others_leave(tmp_path):
    packed(tmp_path / "one", 2), packed(tmp_path / "other", 3)
    settings = Settings(image_size=16, camera_distance=2.0)
    cfg = RenderedViewsConfig(train_folder=str(tmp_path / "one"), mixed_with=[[str(tmp_path / "other"), 0.3]])
    views = training_set(settings, cfg)
    assert len(views) == 5 and views.shares.tolist() == [0.7, 0.3]
    assert isinstance(training_set(settings, RenderedViewsConfig(train_folder=str(tmp_path / "one"))), PackedViews)


def test_broken_objects_are_counted_where_a_set_can_have_some(tmp_path, mixed):
    folders = RandomViews(ViewFolders(zero123s_views(tmp_path / "renderings")), 16)
    both = MixedViews([packed(tmp_path / "packed", 2, views=12), folders], [0.5, 0.5])
    assert mixed.broken is None and both.broken == []
    assert not both.has_nearby_views, "view 0 of a rendering is like any other"
    next((tmp_path / "renderings/a").glob("*.npy")).unlink()
    both.rgba(torch.tensor([2]), torch.tensor([[0, 1]]))
    assert len(both.broken) == 1


def test_sets_of_different_numbers_of_views_are_refused(tmp_path):
    sets = [packed(tmp_path / str(views), 2, views=views) for views in (4, 6)]
    with pytest.raises(UserError, match=r"data.mixed_with: \[4, 6\] views an object"):
        MixedViews(sets, [0.5, 0.5])


@pytest.mark.parametrize("given", [["data/real"], [["data/real", "much"]], [["a", 0.5], ["b", 0.5]], [["a", 0.0]]])
def test_shares_that_cannot_be_are_refused_by_key(given):
    with pytest.raises(UserError, match="^data.mixed_with: "):
        checked_shares(given)
