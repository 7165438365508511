import numpy as np
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training.batches import RenderedViewsConfig, TrainingViews
from cascade_zero123.training.datamodule import RenderedViewsDataModule, ValidationViews
from cascade_zero123.training.prompts import PromptsConfig
from cascade_zero123.training.rendered_views import PackedViews, augment, draw_views, extent, paled
from cascade_zero123.zero123.white import on_white
from torch.utils.data import DataLoader

from threestudio.cameras import orbit


@pytest.fixture
def packed(tmp_path):
    """Four objects, eight views; each view is one grey level that tells which it is."""
    azimuth_deg = torch.tensor([0.0, 45.0, -45.0, 0.0, 90.0, 180.0, -90.0, 10.0]).repeat(4)
    elevation_deg = torch.tensor([5.0, 5.0, 5.0, 35.0, 0.0, 20.0, 40.0, 60.0]).repeat(4)
    cameras = torch.linalg.inv(orbit(elevation_deg, azimuth_deg, torch.full((32,), 3.8)))[:, :3]
    np.save(tmp_path / "cameras.npy", cameras.reshape(4, 8, 3, 4).numpy())
    images = np.full((4, 8, 16, 16, 4), 255, np.uint8)
    images[..., :3] = (8 * np.arange(4)[:, None] + np.arange(8))[..., None, None, None]
    np.save(tmp_path / "images.npy", images)
    return PackedViews(str(tmp_path))


def same(one, other):
    return torch.equal(one.pictures, other.pictures) and torch.equal(one.cameras.as_tensor(), other.cameras.as_tensor())


def test_views_of_a_row_differ_and_the_source_is_often_view_0():
    columns = draw_views(2000, 12, 4, 0.7, draw_generator(0, "test", 0))
    assert columns.shape == (2000, 6)
    assert all(len(set(row)) == 6 for row in columns.tolist())
    assert abs((columns[:, 0] == 0).float().mean().item() - (0.7 + 0.3 / 12)) < 0.04


def test_every_view_can_be_the_target():
    columns = draw_views(2000, 12, 0, 1.0, draw_generator(0, "test", 0))
    assert set(columns[:, 1].tolist()) == set(range(1, 12))


def test_a_mirrored_object_is_seen_from_the_mirrored_azimuth():
    rgba = torch.rand(64, 2, 4, 8, 8)
    azimuth_deg = torch.full((64, 2), 30.0)
    views, azimuths = augment(rgba, azimuth_deg, 0.75, (1.0, 1.0), draw_generator(0, "test", 0))
    mirrored = azimuths[:, 0] < 0
    assert 10 < mirrored.sum() < 54
    alpha = torch.where(mirrored[:, None, None, None], rgba.flip(-1)[:, :, 3], rgba[:, :, 3])
    assert torch.allclose(views[:, :, 3], alpha, atol=1e-5)


def test_zooming_out_shows_white_around_the_object():
    rgba = torch.zeros(1, 1, 4, 16, 16)
    rgba[:, :, 3] = 1.0
    views, _ = augment(rgba, torch.zeros(1, 1), 0.5, (0.1, 1.0), draw_generator(0, "test", 0))
    image = on_white(views)[0, 0]
    assert 0.45 <= extent(views[:, 0, 3]).item() <= 0.6
    assert torch.all(image[:, 0] == 1.0) and torch.all(image[:, 7:9, 7:9] == 0.0)


def test_the_source_is_scaled_to_the_ratio_that_pictures_are_prepared_at():
    rgba = torch.zeros(32, 2, 4, 64, 64)
    rgba[:, 0, 3, 20:60, 25:35] = 1.0  # 40 of 64 pixels high
    views, _ = augment(rgba, torch.zeros(32, 2), 0.75, (0.8, 1.3), draw_generator(0, "test", 0))
    sizes = extent(views[:, 0, 3])
    assert torch.all((sizes - 0.75).abs() <= 0.08)


def test_some_objects_are_bleached_alike_in_all_their_views():
    rgba = torch.full((1000, 3, 4, 1, 1), 0.5)
    views = paled(rgba, 0.3, draw_generator(0, "test", 0))
    colors = views[:, :, :3].flatten(1)
    assert torch.equal(colors, colors[:, :1].expand_as(colors)) and torch.equal(views[:, :, 3], rgba[:, :, 3])
    assert abs((colors[:, 0] > 0.5).float().mean().item() - 0.3) < 0.05
    assert 0.9 < colors.max() <= 0.95


def test_views_are_as_they_were_rendered_unless_augmenting_is_asked_for(packed):
    def drawn(**settings):
        cfg = RenderedViewsConfig(batch_size=200, **settings)
        return TrainingViews(packed, cfg, rank=0, first_step=0).draw(draw_generator(0, "test", 0), context=[])

    plain, augmented = drawn(), drawn(augment=True)
    levels = (plain.pictures * 255).round()
    assert torch.all(levels == levels[..., :1, :1]) and set(levels.unique().tolist()) <= set(range(32))
    rendered = torch.tensor([0.0, 45.0, -45.0, 90.0, 180.0, -90.0, 10.0])
    assert torch.isin(plain.cameras.azimuth_deg.round() % 360, rendered % 360).all()
    mirrored = ~torch.isclose(augmented.cameras.azimuth_deg, plain.cameras.azimuth_deg)
    assert mirrored.any()


def test_batches_go_on_where_they_stopped(packed):
    cfg = RenderedViewsConfig(batch_size=4, context_probability=1.0)
    whole = iter(TrainingViews(packed, cfg, rank=0, first_step=0))
    next(whole), next(whole)
    third, resumed = next(whole), next(iter(TrainingViews(packed, cfg, rank=0, first_step=2)))
    assert third.keys() == resumed.keys() and same(third["views"], resumed["views"])


def test_loading_processes_deliver_the_batches_of_one_and_what_stops_them(packed):
    cfg = RenderedViewsConfig(batch_size=4)
    views = TrainingViews(packed, cfg, rank=0, first_step=3, prompts=PromptsConfig(pool=4, refresh_steps=1))
    alone, loaded = (iter(DataLoader(views, batch_size=None, num_workers=workers)) for workers in (0, 2))
    for _ in range(5):
        own, other = next(alone), next(loaded)
        assert own.keys() == other.keys()
        assert same(own["examples"], other["examples"])
    packed.rgba = lambda *_: (_ for _ in ()).throw(UserError("data/train: 3 objects are broken; restore them"))
    failure = next(iter(DataLoader(views, batch_size=None, num_workers=1)))
    assert isinstance(failure, UserError)
    with pytest.raises(UserError, match="^data/train: 3 objects are broken; restore them$"):
        RenderedViewsDataModule().on_before_batch_transfer(failure, 0)


def test_a_refiner_loads_views_only_where_they_are_shown(packed):
    prompts = PromptsConfig(pool=8, refresh_steps=1000)
    cfg = RenderedViewsConfig(batch_size=4, context_probability=0.5)
    batches = [TrainingViews(packed, cfg, 0, 0, prompts).of_step(step) for step in range(12)]
    assert [len(batch["examples"]) for batch in batches if "examples" in batch] == [4, 4]
    assert {"views" in batch for batch in batches} == {True, False}
    assert all(batch["views"].shape[1] > 2 for batch in batches if "views" in batch)


def test_processes_draw_different_objects_but_the_same_number_of_views(packed):
    cfg = RenderedViewsConfig(batch_size=4, context_probability=0.5)
    ranks = [iter(TrainingViews(packed, cfg, rank=rank, first_step=0)) for rank in (0, 1)]
    for _ in range(5):
        first, second = (next(rank) for rank in ranks)
        assert first["views"].shape == second["views"].shape
        assert not same(first["views"], second["views"])


def test_the_target_is_among_the_context_of_the_wanted_share_of_rows(packed):
    cfg = RenderedViewsConfig(batch_size=1000, max_context=2, target_shown_probability=0.3)
    drawn = TrainingViews(packed, cfg, rank=0, first_step=0).draw(draw_generator(0, "test", 0), context=[0, 1])
    shown = (drawn.pictures[:, 2] == drawn.pictures[:, 1]).flatten(1).all(1)
    assert abs(shown.float().mean().item() - 0.3) < 0.05
    assert torch.equal(drawn.cameras.azimuth_deg[shown, 2], drawn.cameras.azimuth_deg[shown, 1])


def test_examples_are_a_source_and_different_targets(packed):
    drawn = TrainingViews(packed, RenderedViewsConfig(), rank=0, first_step=0).examples(50, targets=3, step=7)
    assert drawn.shape == (50, 4)
    assert all(len(set(row)) == 4 for row in drawn.pictures[:, :, 0, 8, 8].tolist())


def test_a_folder_without_views_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"images.npy: missing; make it with scripts/render_views.py --packed"):
        PackedViews(str(tmp_path))


def test_views_half_rendered_or_of_another_layout_are_refused(packed, tmp_path):
    (tmp_path / "meta.json").write_text('{"layout": "random"}')
    with pytest.raises(UserError, match="views in layout random"):
        PackedViews(str(tmp_path))
    (tmp_path / "meta.json").unlink()
    (tmp_path / "done.npy").touch()
    with pytest.raises(UserError, match="not all of it is rendered"):
        PackedViews(str(tmp_path))


def test_objects_with_too_few_views_are_refused_for_validation(packed):
    packed.images = packed.images[:, :4]
    with pytest.raises(UserError, match="4 views an object; validation needs 5 or more"):
        ValidationViews(packed, 4, 4)
