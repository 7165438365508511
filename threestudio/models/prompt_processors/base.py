"""Text prompts, as extensions hand them from their processors to their guidance.

Upstream's names. What is here turns pictures into 3D and has no text encoder: a processor of an extension brings its
own, and hands on a `PromptProcessorOutput`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from threestudio.errors import UserError
from threestudio.utils.base import BaseObject

Factors = tuple[float, float, float]


@dataclass
class DirectionConfig:
    """A side of the object: how prompts name it, and which cameras (elevation, azimuth in degrees, distance) see it."""

    name: str
    prompt: Callable[[str], str]
    negative_prompt: Callable[[str], str]
    condition: Callable[[Float[Tensor, "view"], Float[Tensor, "view"], Float[Tensor, "view"]], Bool[Tensor, "view"]]


@dataclass
class PromptProcessorOutput:
    """A prompt's embeddings, alone and for each of `directions`."""

    text_embeddings: Float[Tensor, "1 token dim"]
    uncond_text_embeddings: Float[Tensor, "1 token dim"]
    text_embeddings_vd: Float[Tensor, "direction token dim"]
    uncond_text_embeddings_vd: Float[Tensor, "direction token dim"]
    directions: list[DirectionConfig]
    direction2idx: dict[str, int]
    use_perp_neg: bool
    perp_neg_f_sb: Factors
    perp_neg_f_fsb: Factors
    perp_neg_f_fs: Factors
    perp_neg_f_sf: Factors
    prompt: str
    prompts_vd: list[str]

    def get_text_embeddings(
        self,
        elevation: Float[Tensor, "view"],
        azimuth: Float[Tensor, "view"],
        camera_distances: Float[Tensor, "view"],
        view_dependent_prompting: bool = True,
    ) -> Float[Tensor, "twice token dim"]:
        """Of all views, then the unconditional ones of all views. The last direction that sees a camera names it."""
        if not view_dependent_prompting:
            alone = (self.text_embeddings, self.uncond_text_embeddings)
            return torch.cat([embeddings.expand(len(elevation), -1, -1) for embeddings in alone])
        index = torch.zeros_like(elevation, dtype=torch.long)
        for direction in self.directions:
            index[direction.condition(elevation, azimuth, camera_distances)] = self.direction2idx[direction.name]
        return torch.cat([self.text_embeddings_vd[index], self.uncond_text_embeddings_vd[index]])


class PromptProcessor(BaseObject):
    """To derive from: a subclass makes its embeddings in `configure` and hands them on when called."""

    @dataclass
    class Config(BaseObject.Config):
        pretrained_model_name_or_path: str = ""
        prompt: str = ""
        negative_prompt: str = ""

    cfg: Config

    def configure(self) -> None:
        raise UserError(f"{type(self).__name__}: there is no text encoder here; text prompts need an upstream checkout")

    def __call__(self) -> PromptProcessorOutput:
        raise NotImplementedError


def hash_prompt(model: str, prompt: str) -> str:
    """The name of a prompt's embeddings in a cache that upstream has filled."""
    return hashlib.md5(f"{model}-{prompt}".encode(), usedforsecurity=False).hexdigest()
