"""Models of four channels: they see and predict the object's opacity beside its colours on white."""

import cascade_zero123.guidance  # noqa: F401  (registers it)
import pytest
import torch
from cascade_zero123.cascade.models import LoadedModels
from cascade_zero123.cascade.source import view_for
from cascade_zero123.cascade.stages import Cascade, Stage
from cascade_zero123.common.errors import UserError
from cascade_zero123.novel_view.sampling import TargetSampling, novel_views, target_poses
from cascade_zero123.views import Cameras
from cascade_zero123.zero123.weights.loading import load_zero123, save_zero123
from cascade_zero123.zero123.white import as_seen, difference_from_white
from tiny_zero123 import SIZE, ball_picture, save_tiny_cascade, tiny_model

import threestudio


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny_cascade(tmp_path_factory.mktemp("weights"), channels=4)


def guidance_of(folder, **changes):
    parts = {part: {"weights": str(folder / part)} for part in ("base", "refiner")}
    cfg = {"cond_camera_distance": 3.8, "prompt_steps": 2, "cache_dir": None}
    guidance = threestudio.find("cascade-zero123-guidance")(parts | cfg | changes)
    guidance.set_source(ball_picture())
    return guidance


def cameras(views=2):
    return {
        "elevation": torch.linspace(0, 30, views),
        "azimuth": torch.linspace(20, 200, views),
        "camera_distances": torch.full((views,), 3.8),
    }


def renderings(views=2):
    return torch.rand(views, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(3)).requires_grad_()


def opacities(views=2):
    return torch.rand(views, SIZE, SIZE, 1, generator=torch.Generator().manual_seed(4)).requires_grad_()


def test_a_picture_is_its_colours_on_white_and_its_opacity():
    rgba = torch.rand(2, 4, 5, 5)
    seen = as_seen(rgba, 4)
    torch.testing.assert_close(seen[:, :3], rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:])
    assert torch.equal(seen[:, 3], rgba[:, 3])
    assert torch.equal(as_seen(rgba, 3), seen[:, :3]), "what a model of colours sees of it"


def test_white_things_are_told_from_the_background_by_opacity_alone():
    white = torch.ones(1, 4, SIZE, SIZE)
    nothing = torch.cat([white[:, :3], torch.zeros(1, 1, SIZE, SIZE)], dim=1)
    of_colours, of_opacity = tiny_model(), tiny_model(channels=4)
    for model, told_apart in ((of_colours, False), (of_opacity, True)):
        pictures = [as_seen(rgba, model.channels) for rgba in (white, nothing)]
        for look in (model.image_embedding, model.source_latents):
            assert (not torch.equal(*map(look, pictures))) == told_apart


def test_weights_of_colours_alone_still_load_as_such(tmp_path):
    """Their configuration, written before there were others, does not say how many channels they see."""
    save_zero123(tiny_model(), tmp_path / "old")
    config = tmp_path / "old/vae/config.json"
    config.write_text(config.read_text().replace('"in_channels": 3,', ""))
    assert "in_channels" not in config.read_text()
    assert load_zero123(str(tmp_path / "old")).channels == 3


def test_the_rendering_s_opacity_has_its_own_gradient(weights):
    guidance, rgb, opacity = guidance_of(weights), renderings(), opacities()
    guidance(rgb, **cameras(), opacity=opacity)["loss_sds"].backward()
    both = guidance.encode(rgb, opacity)
    torch.testing.assert_close(
        both, guidance.refiner.target_latents(torch.cat([rgb, opacity], dim=-1).permute(0, 3, 1, 2))
    )
    assert rgb.grad.abs().max() > 0 and opacity.grad.abs().max() > 0


def test_under_a_host_that_hands_no_opacity_over_it_is_estimated_and_that_is_said_once(weights, caplog):
    guidance, rgb = guidance_of(weights), renderings()
    with caplog.at_level("WARNING"):
        found = [guidance(rgb, **cameras())["loss_sds"] for _ in range(2)]
    assert caplog.text.count("the host hands no opacity over") == 1
    estimated = difference_from_white(rgb.detach().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert torch.equal(found[0], guidance(rgb, **cameras(), opacity=estimated)["loss_sds"])


def test_the_estimate_is_of_how_far_a_pixel_is_from_white():
    pixels = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.95, 1.0], [0.2, 1.0, 0.4]]).T[None, :, :, None]
    torch.testing.assert_close(difference_from_white(pixels).flatten(), torch.tensor([0.0, 0.5, 1.0]))


def test_a_model_of_colours_alone_leaves_the_opacity(tmp_path):
    guidance = guidance_of(save_tiny_cascade(tmp_path))
    with_it, without = guidance(renderings(), **cameras(), opacity=opacities()), guidance(renderings(), **cameras())
    assert torch.equal(with_it["loss_sds"], without["loss_sds"])


def test_prompt_views_and_one_step_views_carry_their_opacity_and_are_saved_on_white(weights, tmp_path):
    from PIL import Image

    guidance = guidance_of(weights)
    assert guidance.shown.pictures[1:].shape == (3, 4, SIZE, SIZE)
    assert guidance.one_step_views(*cameras().values()).shape == (2, SIZE, SIZE, 4)
    pictures = [Image.open(path) for path in guidance.save_shown(tmp_path)]
    assert {picture.mode for picture in pictures} == {"RGB"}


def test_cheaper_gradients_reach_the_opacity_too(weights):
    for gradient in ("recomputed", "linear"):
        opacity = opacities()
        guidance_of(weights, encoder_gradient=gradient)(renderings(), **cameras(), opacity=opacity)[
            "loss_sds"
        ].backward()
        assert opacity.grad.abs().max() > 0, gradient


def test_a_base_and_a_refiner_of_other_channels_are_no_cascade(weights, tmp_path):
    colours = save_tiny_cascade(tmp_path)
    with pytest.raises(UserError, match="makes views of 3 channels and the Refiner 4"):
        guidance_of(weights, base={"weights": str(colours / "base")})


def test_novel_views_have_it():
    base, refiner = (tiny_model(seed=seed, channels=4) for seed in (0, 1))
    given = view_for(refiner, ball_picture(), Cameras.one(10.0, 0.0, 3.8))
    targets, sampling = target_poses([(90, 10)], [], [], 3.8), TargetSampling(2, 1.5, 0)
    cascade = Cascade([Stage([(45.0, 0.0)]), Stage()], LoadedModels([base, refiner]))
    made = novel_views(cascade, refiner, given, targets, sampling)
    assert made.views.pictures.shape == (1, 4, SIZE, SIZE) and made.shown.pictures.shape == (2, 4, SIZE, SIZE)
    assert torch.equal(made.shown.alpha, made.shown.pictures[:, 3:])
