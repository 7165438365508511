import pytest
import torch

from threestudio.errors import UserError
from threestudio.models.prompt_processors.base import (
    DirectionConfig,
    PromptProcessor,
    PromptProcessorOutput,
    hash_prompt,
)


def output():
    sides = [
        DirectionConfig("side", lambda s: s, lambda s: s, lambda ele, azi, dis: torch.ones_like(ele, dtype=torch.bool)),
        DirectionConfig("front", lambda s: s, lambda s: s, lambda ele, azi, dis: azi.abs() < 45),
        DirectionConfig("overhead", lambda s: s, lambda s: s, lambda ele, azi, dis: ele > 60),
    ]
    by_direction = torch.arange(3.0)[:, None, None].expand(3, 4, 2)
    return PromptProcessorOutput(
        text_embeddings=torch.full((1, 4, 2), 7.0),
        uncond_text_embeddings=torch.full((1, 4, 2), -7.0),
        text_embeddings_vd=by_direction,
        uncond_text_embeddings_vd=-by_direction,
        directions=sides,
        direction2idx={side.name: index for index, side in enumerate(sides)},
        use_perp_neg=False,
        perp_neg_f_sb=(1, 0.5, -0.6),
        perp_neg_f_fsb=(1, 0.5, 0.9),
        perp_neg_f_fs=(4, 0.5, -2.4),
        perp_neg_f_sf=(4, 0.5, -2.4),
        prompt="a cup",
        prompts_vd=["a cup"] * 3,
    )


def test_the_last_direction_that_sees_a_camera_names_it_conditional_ones_first():
    angles = torch.tensor([0.0, 0.0, 80.0]), torch.tensor([120.0, 10.0, 10.0]), torch.ones(3)
    found = output().get_text_embeddings(*angles)
    assert found.shape == (6, 4, 2)
    assert found[:, 0, 0].tolist() == [0.0, 1.0, 2.0, 0.0, -1.0, -2.0]


def test_without_directions_the_prompt_alone_is_repeated():
    angles = torch.zeros(2), torch.zeros(2), torch.ones(2)
    found = output().get_text_embeddings(*angles, view_dependent_prompting=False)
    assert found[:, 0, 0].tolist() == [7.0, 7.0, -7.0, -7.0]


def test_a_processor_without_an_encoder_of_its_own_says_that_there_is_none():
    with pytest.raises(UserError, match="PromptProcessor: there is no text encoder here"):
        PromptProcessor({"prompt": "a cup"})


def test_prompts_are_told_apart_and_models_too():
    assert len({hash_prompt(model, prompt) for model in "ab" for prompt in "cd"}) == 4
