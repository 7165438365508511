import re
from pathlib import Path

import cascade_zero123.pipeline
import numpy as np
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.pipeline import CascadeZero123Pipeline
from PIL import Image
from tiny_zero123 import SIZE, ball_picture, save_tiny_cascade, tiny_model

ROOT = Path(__file__).parents[2]
POSES = [(90, 10), (180, 20, 3.0)]
FAST = {"num_inference_steps": 2, "num_prompt_steps": 1}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    pipeline = CascadeZero123Pipeline.from_pretrained(save_tiny_cascade(tmp_path_factory.mktemp("cascade")))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "commands.md").read_text(), re.DOTALL)
    example = next(block for block in blocks if "CascadeZero123Pipeline" in block)
    documented = [line.strip() for line in example.splitlines() if line.strip()]
    assert len(documented) <= 5
    assert all(line in cascade_zero123.pipeline.__doc__ for line in documented)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "load").symlink_to(ROOT / "load")
    exec(example, {})
    with Image.open(tmp_path / "right.png") as image:
        assert image.size == (64, 64) and np.asarray(image).std() > 10


def test_each_output_type_holds_the_same_views(pipeline):
    output = {kind: pipeline(ball_picture(), POSES, output_type=kind, **FAST) for kind in ("pt", "np", "pil")}
    tensor = output["pt"].images
    assert tensor.shape == (2, 3, SIZE, SIZE) and output["pt"].prompt_images.shape[0] == 3
    assert np.array_equal(output["np"].images, tensor.permute(0, 2, 3, 1).numpy())
    pictures = np.stack([np.asarray(picture) for picture in output["pil"].images])
    assert np.array_equal(pictures, np.rint(output["np"].images * 255).astype(np.uint8))
    with pytest.raises(UserError, match="pil, np, pt"):
        pipeline(ball_picture(), POSES, output_type="latent")


def test_the_prompts_have_a_scale_of_their_own(pipeline):
    def prompts(**scales):
        return pipeline(ball_picture(), POSES, output_type="pt", **FAST, **scales).prompt_images

    assert torch.equal(prompts(guidance_scale=2.0), prompts(guidance_scale=4.0))
    assert not torch.equal(prompts(), prompts(prompt_guidance_scale=1.5))


def test_prompts_are_by_default_sampled_as_the_refiner_s_settings_say(pipeline, monkeypatch):
    def prompts(**given):
        fast = {"num_inference_steps": 1, **given}
        return pipeline(ball_picture(), POSES, output_type="pt", **fast).prompt_images

    monkeypatch.setattr(pipeline.refiner.settings, "prompt_steps", 2)
    monkeypatch.setattr(pipeline.refiner.settings, "prompt_scale", 1.5)
    assert torch.equal(prompts(), prompts(num_prompt_steps=2, prompt_guidance_scale=1.5))
    assert not torch.equal(prompts(), prompts(num_prompt_steps=1))


def test_the_generator_decides_all_noise(pipeline):
    def views(seed):
        return pipeline(
            ball_picture(), POSES, generator=torch.Generator().manual_seed(seed), eta=1.0, output_type="pt", **FAST
        )

    first, again, other = views(1), views(1), views(2)
    assert torch.equal(first.images, again.images) and torch.equal(first.prompt_images, again.prompt_images)
    assert not torch.equal(first.images, other.images) and not torch.equal(first.prompt_images, other.prompt_images)


def test_without_prompts_and_coarse_target_it_is_one_stage_of_plain_zero_1_to_3(pipeline):
    alone = CascadeZero123Pipeline(pipeline.base)
    plain = alone(ball_picture(), POSES, prompt_views=[], coarse_target=False, output_type="pt", **FAST)
    assert plain.coarse_images is None and len(plain.prompt_images) == 0
    cascade = pipeline(ball_picture(), POSES, output_type="pt", **FAST)
    assert cascade.coarse_images.shape == plain.images.shape
    assert (cascade.images - plain.images).abs().max() > 1e-3


def test_a_tuple_comes_instead_of_a_dict_when_asked_for(pipeline):
    images, coarse, prompts = pipeline(ball_picture(), POSES, return_dict=False, **FAST)
    assert (len(images), len(coarse), len(prompts)) == (2, 2, 3)


def test_the_callback_is_told_of_every_network_step(pipeline):
    told = []
    pipeline(ball_picture(), POSES, chunk_size=1, callback=lambda *step: told.append(step), **FAST)
    stages = [("Self-prompting", 1), ("Coarse targets", 2), ("Novel views", 4)]
    assert told == [(name, done, total) for name, total in stages for done in range(1, total + 1)]


def test_one_model_is_its_own_refiner(tmp_path):
    save_tiny_cascade(tmp_path)
    alone = CascadeZero123Pipeline.from_pretrained(tmp_path / "base")
    assert alone.refiner is alone.base
    pair = CascadeZero123Pipeline.from_pretrained(tmp_path / "base", tmp_path / "refiner")
    whole = CascadeZero123Pipeline.from_pretrained(tmp_path)
    for name, value in whole.refiner.state_dict().items():
        assert torch.equal(pair.refiner.state_dict()[name], value)
    assert not torch.equal(pair.refiner.cc_projection.weight, pair.base.cc_projection.weight)


def test_a_picture_with_transparency_is_centred_and_one_without_is_taken_as_it_is():
    small = torch.zeros(64, 64, 4)
    small[2:18, 2:18] = 1.0
    pipeline = CascadeZero123Pipeline(tiny_model())
    settings = {"prompt_views": [], "coarse_target": False, "output_type": "pt", **FAST}
    centred = pipeline(small, POSES, **settings).images
    same = torch.zeros(100, 100, 4)
    same[10:26, 40:56] = 1.0
    torch.testing.assert_close(pipeline(same, POSES, **settings).images, centred)
    opaque = torch.ones(20, 30, 4)
    with pytest.raises(UserError, match="30 x 20 pixels; cut its object out, or pad it"):
        pipeline(opaque, POSES, **settings)
    white = pipeline(torch.ones(30, 30, 4), POSES, **settings).images
    picture = Image.new("RGB", (30, 30), (255, 255, 255))
    torch.testing.assert_close(pipeline(picture, POSES, **settings).images, white)
