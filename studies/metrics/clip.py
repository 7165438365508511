"""CLIP-score: how alike two pictures are to the image encoder of CLIP (Radford et al. 2021).

    cosine of the projected image embeddings of a novel view and of the source view

averaged over the novel views (Sec. 4.3 of the paper; Magic123 calls it CLIP-similarity). The paper does not say which
CLIP; Magic123's public evaluation takes larger ones than Zero-1-to-3's own (ViT-L/14), so that scores by different
encoders are not comparable: `ClipScore.note` names the one used. 1 for equal pictures; larger is better.
"""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.architecture import PUBLISHED
from cascade_zero123.zero123.model import CLIP_MEAN, CLIP_STD, Zero123
from jaxtyping import Float
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from .score import Unavailable

NAME = "CLIP"


class ClipScore:
    """By the given image encoder, frozen; pictures are resized to its size as CLIP does: bicubic, anti-aliased."""

    name = NAME

    def __init__(
        self,
        encoder: CLIPVisionModelWithProjection,
        note: str,
        mean: tuple[float, ...] = CLIP_MEAN,
        std: tuple[float, ...] = CLIP_STD,
    ) -> None:
        self.encoder, self.note = encoder, note
        self.mean, self.std = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "view 3 h w"], source: Float[Tensor, "source 3 sh sw"]
    ) -> Float[Tensor, "view"]:
        """`source` is one picture, or one for each view."""
        return F.cosine_similarity(self._embedding(images), self._embedding(source), dim=-1)

    def _embedding(self, images: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view dim"]:
        weight = self.encoder.visual_projection.weight
        side = self.encoder.config.image_size
        assert isinstance(side, int)  # CLIP's pictures are square
        images = F.interpolate(images.float(), (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        pixels = ((images - self.mean.to(images)) / self.std.to(images)).to(weight)
        return self.encoder(pixel_values=pixels).image_embeds.float()


def clip_score(
    model: Zero123 | None = None, folder: str | Path | None = None, device: torch.device | str = "cpu"
) -> ClipScore | Unavailable:
    """By the CLIP in `folder` (transformers' layout, safetensors), else by the one that `model` carries, else a reason.

    Zero-1-to-3 was trained with CLIP ViT-L/14 frozen, so an encoder of that size is taken to be it; a model trained
    with another encoder, as the bundled one, has none.
    """
    if folder is not None:
        return _from_folder(Path(folder), device)
    if model is None:
        return Unavailable(NAME, "no CLIP folder was named")
    config = model.image_encoder.config
    if any(getattr(config, key) != value for key, value in PUBLISHED.image_encoder.items()):
        found = f"{config.num_hidden_layers} layers of width {config.hidden_size}"
        return Unavailable(NAME, f"the model's image encoder ({found}) is not CLIP, and no CLIP folder was named")
    return ClipScore(model.image_encoder, "CLIP ViT-L/14 of the Zero-1-to-3 weights")


def _from_folder(folder: Path, device: torch.device | str) -> ClipScore:
    config = _read_json(folder / "config.json")
    vision = config.get("vision_config", config)
    if "projection_dim" in config:  # a whole CLIP says it at its top level; the copy in its vision part may be stale
        vision = {**vision, "projection_dim": config["projection_dim"]}
    try:
        loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
            folder,
            config=CLIPVisionConfig(**vision),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,  # with it, a pair is returned
        )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{folder}: not a CLIP that can be read ({str(error).splitlines()[0]})") from error
    encoder, loading = loaded
    if loading["missing_keys"]:
        raise UserError(f"{folder}: not a CLIP image encoder with projection; it lacks {min(loading['missing_keys'])}")
    size = encoder.config
    note = f"CLIP of {folder.name} ({size.num_hidden_layers} layers of width {size.hidden_size})"
    preprocessing = folder / "preprocessor_config.json"
    given = _read_json(preprocessing) if preprocessing.is_file() else {}
    mean, std = tuple(given.get("image_mean", CLIP_MEAN)), tuple(given.get("image_std", CLIP_STD))
    return ClipScore(encoder.to(device).eval().requires_grad_(False), note, mean, std)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not readable as JSON ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected a JSON object")
    return content
