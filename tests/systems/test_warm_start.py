import torch

from threestudio.picture.white import whitish_share
from threestudio.systems.warm_start import WarmStartViews
from threestudio.views import Cameras


class FlatGuidance:
    """Predicts grey views whose brightness tells them apart."""

    def one_step_views(self, elevation, azimuth, camera_distances):
        return torch.linspace(0, 1, len(elevation))[:, None, None, None].expand(-1, 8, 8, 3)


def reference(color=(0.9, 0.2, 0.1)):
    return {
        "azimuth": torch.tensor([15.0]),
        "camera_distances": torch.tensor([3.8]),
        "fovy_deg": torch.tensor([20.0]),
        "rgb": torch.tensor(color).expand(1, 4, 4, 3),
        "mask": torch.ones(1, 4, 4, 1, dtype=torch.bool),
    }


def test_rings_share_the_views_and_turn_evenly():
    around = Cameras.rings(24, [-10.0, 20.0, 50.0], 0.0, 3.8, 20.0)
    elevation, azimuth = around.elevation_deg, around.azimuth_deg
    for ring in (-10.0, 20.0, 50.0):
        around = azimuth[elevation == ring].sort().values
        assert len(around) == 8
        torch.testing.assert_close(around.diff(), torch.full((7,), 45.0))
    assert len(set((azimuth % 360).tolist())) == 24


def test_views_that_do_not_divide_are_all_used():
    elevation = Cameras.rings(7, [0.0, 30.0], 0.0, 3.8, 20.0).elevation_deg
    assert sorted(elevation.tolist()) == [0.0] * 4 + [30.0] * 3


def test_a_batch_depends_on_the_step_alone_and_pairs_images_with_their_cameras():
    views = WarmStartViews.predict(FlatGuidance(), reference((1.0, 1.0, 1.0)), 6, [0.0, 30.0])
    one, again, other = views.batch(3, 4, 8, 8), views.batch(3, 4, 8, 8), views.batch(4, 4, 8, 8)
    torch.testing.assert_close(one["rgb"], again["rgb"])
    assert not torch.equal(one["rgb"], other["rgb"])
    for image, c2w in zip(one["rgb"], one["c2w"], strict=True):
        index = round(float(image.mean()) * 5)
        torch.testing.assert_close(c2w, views.cameras[[index]].c2w[0])


def test_a_batch_comes_at_the_size_asked_for():
    batch = WarmStartViews.predict(FlatGuidance(), reference(), 6, [0.0]).batch(0, 2, 16, 16)
    assert batch["rgb"].shape == batch["rays_d"].shape == (2, 16, 16, 3)


def test_predictions_are_cut_out_of_white():
    class BlurredGuidance:
        def one_step_views(self, elevation, azimuth, camera_distances):
            share = torch.linspace(0, 1, 16)[None, None, :, None].expand(len(elevation), 16, 16, 3)
            return 1.0 - share * torch.tensor([0.1, 0.8, 0.9])

    batch = WarmStartViews.predict(BlurredGuidance(), reference(), 2, [0.0]).batch(0, 2, 16, 16)
    assert batch["opacity"].shape == (2, 16, 16, 1)
    assert batch["opacity"][:, :, :2].max() == 0 and batch["opacity"][:, :, 12:].min() == 1
    torch.testing.assert_close(
        batch["rgb"][:, :, 12:], torch.tensor([0.9, 0.2, 0.1]).expand(2, 16, 4, 3), atol=0.15, rtol=0
    )


def test_predicted_opacity_is_taken_in_place_of_a_guess_and_white_stays_white():
    class SeesOpacity:
        def one_step_views(self, elevation, azimuth, camera_distances):
            share = torch.linspace(0, 1, 16)[None, None, :, None].expand(len(elevation), 16, 16, 1)
            return torch.cat([torch.ones(len(elevation), 16, 16, 3), share], dim=-1)

    batch = WarmStartViews.predict(SeesOpacity(), reference((1.0, 1.0, 1.0)), 2, [0.0]).batch(0, 2, 16, 16)
    assert torch.equal(batch["rgb"], torch.ones(2, 16, 16, 3))
    assert batch["opacity"][:, :, :4].max() == 0 and batch["opacity"][:, :, 12:].min() == 1


def test_whiteness_says_nothing_about_a_white_object():
    assert whitish_share(torch.ones(5, 3)) == 1.0
    assert WarmStartViews.predict(FlatGuidance(), reference((1.0, 0.99, 1.0)), 2, [0.0]).opacity is None
    assert WarmStartViews.predict(FlatGuidance(), reference(), 2, [0.0]).opacity is not None
