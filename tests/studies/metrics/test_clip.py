import json
import re

import numpy as np
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.architecture import PUBLISHED
from cascade_zero123.zero123.model import CLIP_MEAN, CLIP_STD
from PIL import Image
from tiny_zero123 import tiny_model
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig, CLIPVisionModelWithProjection

from studies.metrics import ClipScore, Unavailable, clip_score

SIDE = 32
VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION |= {"image_size": SIDE, "patch_size": 8, "projection_dim": 12}


@pytest.fixture
def folder(tmp_path):
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)).eval()
    encoder.save_pretrained(tmp_path / "clip")
    return tmp_path / "clip"


def embedding(encoder, picture: torch.Tensor) -> np.ndarray:
    """[3 h w] by way of Pillow's resizing, as CLIP was published."""
    pixels = Image.fromarray((picture * 255).round().byte().permute(1, 2, 0).numpy())
    array = np.asarray(pixels.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    normalised = (array - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    values = torch.from_numpy(normalised).permute(2, 0, 1)[None].float()
    return encoder(pixel_values=values).image_embeds[0].detach().double().numpy()


def test_the_score_is_the_cosine_of_the_embeddings(folder):
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder).eval()
    metric = clip_score(folder=folder)
    views, source = torch.rand(3, 3, 48, 48), torch.rand(1, 3, 48, 48)
    a, b = [embedding(encoder, view) for view in views], embedding(encoder, source[0])
    expected = [float(x @ b / np.linalg.norm(x) / np.linalg.norm(b)) for x in a]
    assert metric(views, source).tolist() == pytest.approx(expected, abs=2e-3)  # Pillow rounds to 8 bits
    assert max(expected) - min(expected) > 5e-3


def test_a_view_and_itself_score_1(folder):
    views = torch.rand(2, 3, SIDE, SIDE)
    assert clip_score(folder=folder)(views, views).tolist() == pytest.approx([1.0, 1.0])


def test_a_whole_clip_s_image_side_is_read_with_the_projection_that_its_top_level_says(tmp_path):
    vision = {**VISION, "projection_dim": 512}  # as in published files, where only the top level is right
    text = CLIPTextConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision, projection_dim=12)).eval()
    model.save_pretrained(tmp_path / "whole")
    (tmp_path / "whole" / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0, 0, 0]}))
    metric = clip_score(folder=tmp_path / "whole")
    assert torch.equal(metric.encoder.visual_projection.weight, model.visual_projection.weight)
    assert metric.mean.flatten().tolist() == [0, 0, 0] and metric.std.flatten().tolist() == pytest.approx(CLIP_STD)
    assert "whole" in metric.note


def test_a_small_model_s_encoder_is_not_called_clip():
    metric = clip_score(tiny_model())
    assert isinstance(metric, Unavailable) and metric.name == "CLIP"
    assert "1 layers of width 8" in metric.reason and "not CLIP" in metric.reason
    assert "no CLIP folder" in clip_score().reason


def test_the_published_size_is_taken_to_be_zero_1_to_3_s_own_clip():
    model = tiny_model()
    with torch.device("meta"):
        model.image_encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**PUBLISHED.image_encoder))
    metric = clip_score(model)
    assert isinstance(metric, ClipScore) and metric.encoder is model.image_encoder
    assert "ViT-L/14" in metric.note


@pytest.mark.parametrize("broken", ["no config", "no weights", "half the weights"])
def test_a_folder_that_is_no_clip_is_refused_by_name(folder, broken):
    if broken == "no config":
        (folder / "config.json").unlink()
    elif broken == "no weights":
        (folder / "model.safetensors").unlink()
    else:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        del tensors["visual_projection.weight"]
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="clip") as caught:
        clip_score(folder=folder)
    assert "\n" not in str(caught.value)
    if broken == "half the weights":
        assert "not a CLIP image encoder with projection; it lacks visual_projection.weight" in str(caught.value)


@pytest.mark.parametrize("text, message", [("{", "not readable as JSON ("), ("[1]", "expected a JSON object")])
def test_a_clip_s_damaged_configuration_is_named(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"config.json: {re.escape(message)}"):
        clip_score(folder=folder)
