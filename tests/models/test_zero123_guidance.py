"""Upstream's names of plain Zero-1-to-3, handed on to the cascade."""

import cascade_zero123.guidance  # noqa: F401  (registers what is handed on to)
import pytest
import torch
from cascade_zero123.zero123.sampler import sample_ddim
from PIL import Image
from tiny_zero123 import ball_picture, save_tiny_cascade

import threestudio
from threestudio.models.guidance.stable_zero123_guidance import StableZero123Guidance

CAMERAS = {
    "elevation": torch.tensor([0.0, 40.0]),
    "azimuth": torch.tensor([30.0, -120.0]),
    "camera_distances": torch.full((2,), 3.8),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = save_tiny_cascade(tmp_path_factory.mktemp("weights"))
    Image.fromarray((ball_picture() * 255).byte().numpy()).save(folder / "ball.png")
    return folder


def made(name, folder):
    cfg = {"cond_image_path": str(folder / "ball.png"), "cond_camera_distance": 3.8, "guidance_scale": 3.0}
    upstreams = {"pretrained_model_name_or_path": str(folder / "base"), "pretrained_config": "load/no-such.yaml"}
    return threestudio.find(name)(cfg | upstreams)


def rendering():
    return torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0))


def test_it_is_the_cascade_without_prompt_views(folder):
    plain = made("zero123-guidance", folder)
    cascade = threestudio.find("cascade-zero123-guidance")(
        {
            "base": {"weights": str(folder / "base")},
            "cond_image_path": str(folder / "ball.png"),
            "cond_camera_distance": 3.8,
            "prompt_views": [],
        }
    )
    losses = []
    for guidance in (plain, cascade):
        guidance.do_update_step(0, 7)
        losses.append(guidance(rendering(), **CAMERAS)["loss_sds"])
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("token", ["zero123", "stable-zero123"])
def test_the_pose_token_is_that_of_the_name(token, folder):
    assert made(f"{token}-guidance", folder).cascade.refiner.settings.pose_token == token


def test_a_subclass_samples_with_upstream_s_calls(folder):
    class Sampling(StableZero123Guidance):
        """As an extension for novel views: DDIM by hand, classifier-free."""

        @torch.no_grad()
        def sample(self, noise, **camera):
            cond, latents = self.get_cond(**camera), noise
            self.scheduler.set_timesteps(3)
            for timestep in self.scheduler.timesteps:
                both = self.model.apply_model(torch.cat([latents] * 2), timestep.repeat(2 * len(latents)), cond)
                uncond, given = both.chunk(2)
                output = uncond + self.cfg.guidance_scale * (given - uncond)
                latents = self.scheduler.step(output, timestep, latents)["prev_sample"]
            return latents

    cfg = {"pretrained_model_name_or_path": str(folder / "base"), "cond_image_path": str(folder / "ball.png")}
    guidance = Sampling({**cfg, "cond_camera_distance": 3.8, "guidance_scale": 3.0})
    refiner, noise = guidance.cascade.refiner, torch.randn(2, *guidance.cascade.refiner.latent_shape)
    latents = guidance.sample(noise, **CAMERAS)
    expected = sample_ddim(refiner, guidance.cascade.context(*CAMERAS.values()), noise, 3, 3.0)
    torch.testing.assert_close(latents, expected, atol=1e-4, rtol=1e-4)
    images = guidance.decode_latents(latents)
    assert images.shape == (2, 3, 16, 16) and images.min() >= 0 and images.max() <= 1
    torch.testing.assert_close(guidance.encode_images(images), refiner.target_latents(images))
