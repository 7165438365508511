import numpy as np
import pytest
import torch
from cascade_zero123.cascade.cache import ViewCache, cache_key, weights_fingerprint
from cascade_zero123.cascade.context import Cascade
from cascade_zero123.cascade.prompt_views import NEARBY_DEG, Sampling, prompt_views, view_label
from cascade_zero123.errors import UserError
from cascade_zero123.zero123.pose import Pose
from PIL import Image
from tiny_zero123 import SIZE, tiny_model

OFFSETS = [tuple(offset) for offset in NEARBY_DEG]
SAMPLING = Sampling(steps=3, scale=2.0, seed=5)
INGREDIENTS = {"weights": "a", "camera": [1.0], "offsets_deg": [[45.0, 0.0]], "sampling": vars(SAMPLING)}


def source_pose(elevation_deg=10.0):
    return Pose(torch.tensor([elevation_deg]), torch.tensor([0.0]), torch.tensor([3.8]))


class Base:
    """Counts how often it is loaded; the model is the same each time."""

    def __init__(self):
        self.loaded = 0

    def __call__(self):
        self.loaded += 1
        return tiny_model()


def views_of(base, cache, offsets=None, sampling=SAMPLING, source=None, pose=None):
    source = torch.full((1, 3, SIZE, SIZE), 0.4) if source is None else source
    offsets = OFFSETS if offsets is None else offsets
    return prompt_views(base, "weights", source, pose or source_pose(), offsets, sampling, cache)


def test_views_are_images_at_the_offsets_from_the_source(tmp_path):
    views = views_of(Base(), ViewCache(tmp_path))
    assert views.images.shape == (3, 3, SIZE, SIZE)
    assert float(views.images.min()) >= 0 and float(views.images.max()) <= 1
    assert views.poses.azimuth_deg.tolist() == [45, -45, 0]
    assert views.poses.elevation_deg.tolist() == [10, 10, 40]
    assert views.labels == ["azimuth +45", "azimuth -45", "elevation +30"]


def test_a_second_run_with_the_same_key_samples_nothing_and_sees_the_same(tmp_path):
    base = Base()
    first, second = views_of(base, ViewCache(tmp_path)), views_of(base, ViewCache(tmp_path))
    assert base.loaded == 1
    assert torch.equal(first.images, second.images)


def test_without_a_cache_the_same_seed_gives_the_same_views():
    base = Base()
    first, second = views_of(base, ViewCache(None)), views_of(base, ViewCache(None))
    assert base.loaded == 2
    assert torch.equal(first.images, second.images)


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(4, 2.0, 5)},
        {"sampling": Sampling(3, 2.5, 5)},
        {"sampling": Sampling(3, 2.0, 6)},
        {"offsets": [(45.0, 0.0)]},
        {"pose": source_pose(20.0)},
        {"source": torch.full((1, 3, SIZE, SIZE), 0.5)},
    ],
    ids=["steps", "scale", "seed", "offsets", "camera", "picture"],
)
def test_each_ingredient_changes_the_key(tmp_path, change):
    base = Base()
    views_of(base, ViewCache(tmp_path))
    views_of(base, ViewCache(tmp_path), **change)
    assert base.loaded == 2


def test_weights_change_the_key():
    picture = torch.zeros(1, dtype=torch.uint8)
    assert cache_key(picture, **INGREDIENTS) != cache_key(picture, **INGREDIENTS | {"weights": "b"})


def test_fingerprint_follows_the_content_of_small_files_and_not_their_time(tmp_path):
    one, two = tmp_path / "a.safetensors", tmp_path / "b.json"
    one.write_bytes(b"123")
    two.write_bytes(b"{}")
    first = weights_fingerprint([one, two])
    one.touch()
    assert weights_fingerprint([two, one]) == first
    one.write_bytes(b"124")
    assert weights_fingerprint([one, two]) != first


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
def test_a_damaged_entry_is_sampled_again_and_mended(tmp_path, damage):
    base = Base()
    first = views_of(base, ViewCache(tmp_path))
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    assert torch.equal(views_of(base, ViewCache(tmp_path)).images, first.images)
    assert base.loaded == 2
    views_of(base, ViewCache(tmp_path))
    assert base.loaded == 2


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(tmp_path):
    (tmp_path / "file").write_text("")
    base = Base()
    assert len(views_of(base, ViewCache(tmp_path / "file" / "cache")).images) == 3


def test_nothing_unfinished_stays_in_the_cache(tmp_path):
    views_of(Base(), ViewCache(tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_no_offsets_mean_no_views_and_no_base(tmp_path):
    base = Base()
    views = views_of(base, ViewCache(tmp_path), offsets=[])
    assert base.loaded == 0 and len(views.images) == 0 and views.labels == []
    images = torch.cat([torch.rand(1, 3, SIZE, SIZE), views.images])
    assert Cascade.of(tiny_model(), images, source_pose()).embeddings.shape[1] == 1


def test_a_camera_over_the_pole_is_refused_by_its_offset(tmp_path):
    with pytest.raises(UserError, match=r"\[0, 85\] leads to elevation 95 deg"):
        views_of(Base(), ViewCache(tmp_path), offsets=[(0.0, 85.0)])


def test_saved_pictures_are_the_views(tmp_path):
    views = views_of(Base(), ViewCache(None))
    paths = views.save(tmp_path)
    assert [path.name for path in paths] == ["0_azimuth_+45.png", "1_azimuth_-45.png", "2_elevation_+30.png"]
    for path, image in zip(paths, views.images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), (image * 255).round().permute(1, 2, 0).byte())


def test_labels_say_both_angles_where_both_change():
    assert view_label(-135.0, 30.0) == "azimuth -135 elevation +30"
    assert view_label(0.0, 0.0) == "source"
