import numpy as np
import pytest
import torch
from cascade_zero123.cascade.cache import ViewCache, cache_key, weights_fingerprint
from cascade_zero123.cascade.stages import NEARBY_DEG, Cascade, Sampling, Stage, same_camera
from cascade_zero123.common.errors import UserError
from cascade_zero123.novel_view.output import labels, save_views, view_label
from cascade_zero123.views import Cameras, Views
from PIL import Image
from tiny_zero123 import SIZE, tiny_model

OFFSETS = [tuple(offset) for offset in NEARBY_DEG]
SAMPLING = Sampling(steps=3, scale=2.0, seed=5)
INGREDIENTS = {"weights": "a", "camera": [1.0], "offsets_deg": [[45.0, 0.0]], "sampling": vars(SAMPLING)}


def source(level=0.4, elevation_deg=10.0):
    return Views(torch.full((1, 3, SIZE, SIZE), level), Cameras.one(elevation_deg, 0.0, 3.8))


class Base:
    """Counts how often one of the models is loaded; each is the same each time, and what it is shown is kept."""

    def __init__(self):
        self.loaded, self.shown = 0, []

    def load(self, index):
        self.loaded += 1
        model = tiny_model(seed=index)
        embed = model.image_embedding
        model.image_embedding = lambda images: self.shown.append(images) or embed(images)
        return model

    def fingerprint(self, index):
        return "weights" if index == 0 else f"weights {index}"


def views_of(base, cache, offsets=None, sampling=SAMPLING, given=None, chain=False):
    """What is added to the source."""
    stage = Stage(OFFSETS if offsets is None else offsets, sampling, chain)
    given = source() if given is None else given
    return Cascade([stage, Stage()], base, cache).shown(given)[len(given) :]


def test_views_are_images_at_the_offsets_from_the_source(tmp_path):
    views = views_of(Base(), ViewCache(tmp_path))
    assert views.pictures.shape == (3, 3, SIZE, SIZE)
    assert float(views.pictures.min()) >= 0 and float(views.pictures.max()) <= 1
    assert views.cameras.azimuth_deg.tolist() == [45, -45, 0]
    assert views.cameras.elevation_deg.tolist() == [10, 10, 40]
    assert labels(Views.join([source(), views])) == ["source", "azimuth +45", "azimuth -45", "elevation +30"]


def test_a_second_run_with_the_same_key_samples_nothing_and_sees_the_same(tmp_path):
    base = Base()
    first, second = views_of(base, ViewCache(tmp_path)), views_of(base, ViewCache(tmp_path))
    assert base.loaded == 1
    assert torch.equal(first.pictures, second.pictures)


def test_without_a_cache_the_same_seed_gives_the_same_views():
    base = Base()
    first, second = views_of(base, ViewCache(None)), views_of(base, ViewCache(None))
    assert base.loaded == 2
    assert torch.equal(first.pictures, second.pictures)


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(4, 2.0, 5)},
        {"sampling": Sampling(3, 2.5, 5)},
        {"sampling": Sampling(3, 2.0, 6)},
        {"offsets": [(45.0, 0.0)]},
        {"chain": True},
        {"given": source(elevation_deg=20.0)},
        {"given": source(0.5)},
    ],
    ids=["steps", "scale", "seed", "offsets", "chain", "camera", "picture"],
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
    assert torch.equal(views_of(base, ViewCache(tmp_path)).pictures, first.pictures)
    assert base.loaded == 2
    views_of(base, ViewCache(tmp_path))
    assert base.loaded == 2


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(tmp_path):
    (tmp_path / "file").write_text("")
    base = Base()
    assert len(views_of(base, ViewCache(tmp_path / "file" / "cache"))) == 3


def test_nothing_unfinished_stays_in_the_cache(tmp_path):
    views_of(Base(), ViewCache(tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_no_offsets_mean_no_views_and_no_base(tmp_path):
    base = Base()
    views = views_of(base, ViewCache(tmp_path), offsets=[])
    assert base.loaded == 0 and len(views) == 0


def test_a_camera_over_the_pole_is_refused_by_its_offset(tmp_path):
    with pytest.raises(UserError, match=r"\[0, 85\] leads to elevation 95 deg"):
        views_of(Base(), ViewCache(tmp_path), offsets=[(0.0, 85.0)])


def test_saved_pictures_are_the_views(tmp_path):
    views = views_of(Base(), ViewCache(None))
    paths = save_views(Views.join([source(), views]), 1, tmp_path)
    assert [path.name for path in paths] == ["0_azimuth_+45.png", "1_azimuth_-45.png", "2_elevation_+30.png"]
    for path, image in zip(paths, views.pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), (image * 255).round().permute(1, 2, 0).byte())


def test_labels_say_both_angles_where_both_change():
    assert view_label(-135.0, 30.0) == "azimuth -135 elevation +30"
    assert view_label(0.0, 0.0) == "source"


def cascade_of(*stages):
    base = Base()
    return base, Cascade([*stages, Stage()], base)


def test_a_third_model_is_shown_what_the_first_imagined_and_adds_to_it():
    base, cascade = cascade_of(Stage(OFFSETS, SAMPLING), Stage([(180.0, 0.0)], SAMPLING))
    shown = cascade.shown(source())
    assert shown.cameras.azimuth_deg.tolist() == [0, 45, -45, 0, 180]
    assert [len(images) for images in base.shown] == [1, 4]
    assert torch.equal(base.shown[1], shown.pictures[:4])


def test_a_view_at_the_camera_of_an_earlier_model_takes_its_place():
    base, cascade = cascade_of(Stage(OFFSETS, SAMPLING), Stage([(405.0, 0.0)], SAMPLING))
    shown = cascade.shown(source())
    assert shown.cameras.azimuth_deg.tolist() == [0, -45, 0, 405]
    assert len(base.shown[1]) == 4, "the earlier one is there to be refined"


def test_in_a_chain_each_view_is_sampled_with_those_before_it_as_context():
    base, cascade = cascade_of(Stage(OFFSETS, SAMPLING, chain=True))
    shown = cascade.shown(source())
    assert [len(images) for images in base.shown] == [1, 2, 3]
    assert torch.equal(base.shown[2], shown.pictures[:3])
    at_once = cascade_of(Stage(OFFSETS, SAMPLING))[1].shown(source())
    torch.testing.assert_close(shown.pictures[1], at_once.pictures[1], atol=1 / 255, rtol=0)
    assert not torch.equal(shown.pictures[2:], at_once.pictures[2:])


def test_a_further_picture_stays_and_is_not_imagined_again():
    back = Views(torch.full((1, 3, SIZE, SIZE), 0.7), Cameras.one(10.0, 180.0, 3.8))
    base, cascade = cascade_of(Stage([(45.0, 0.0), (-180.0, 0.0)], SAMPLING), Stage([(90.0, 0.0)], SAMPLING))
    shown = cascade.shown(Views.join([source(), back]))
    assert shown.cameras.azimuth_deg.tolist() == [0, 180, 45, 90]
    assert torch.equal(shown.pictures[1], back.pictures[0])
    assert [len(images) for images in base.shown] == [1, 3], "the first, a plain Zero-1-to-3, sees the source alone"


def test_cameras_are_the_same_whole_turns_apart():
    turns = Cameras(torch.zeros(3), torch.tensor([-180.0, 179.9999, 90.0]), torch.full((3,), 3.8))
    assert same_camera(Cameras.one(0.0, 540.0, 3.8), turns).tolist() == [[True, True, False]]
