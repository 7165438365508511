"""What Base samples for the training objects, kept on disk: the self-prompted views and the coarse targets.

Sampling on the fly costs several times a training step; the bank is sampled once by `scripts/sample_prompt_bank.py`
and drawn from as if it were rendered. Layout beside `PackedViews` (the first `object` entries of its data set):
`prompts.npy` uint8 [object prompt h w 3], sampled at the nearby poses of views 1 to 3, and `coarse.npy` uint8
[object coarse h w 3], sampled at the poses of the views that `coarse_views.npy` int64 [object coarse] names.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import UserError
from ..seeding import draw_generator
from ..zero123.model import Zero123
from ..zero123.pose import Pose, pose_token
from ..zero123.sampler import sample_ddim
from ..zero123.white import on_white
from .rendered_views import NEARBY_VIEWS, PackedViews

FILES = ("prompts.npy", "coarse.npy", "coarse_views.npy")


class PromptBank:
    """The memory-mapped arrays."""

    def __init__(self, folder: str) -> None:
        for name in FILES:
            if not (Path(folder) / name).exists():
                raise UserError(f"{folder}: no {name}; make it with scripts/sample_prompt_bank.py")
        self.prompts, self.coarse, self.coarse_views = (np.load(Path(folder) / name, mmap_mode="r") for name in FILES)

    def __len__(self) -> int:
        return len(self.prompts)

    def context_rgba(self, objects: Int[Tensor, "b"], coarse: Int[Tensor, "b"]) -> Float[Tensor, "b k 4 h w"]:
        """The prompts, then the chosen coarse target; opaque."""
        pixels = np.concatenate(
            [self.prompts[objects.numpy()], self.coarse[objects.numpy(), coarse.numpy()][:, None]], axis=1
        )
        rgb = torch.from_numpy(pixels).movedim(-1, 2).float() / 255.0
        return torch.cat([rgb, torch.ones_like(rgb[:, :, :1])], dim=2)


@torch.no_grad()
def sample_bank(
    base: Zero123, views: PackedViews, objects: Int[Tensor, "b"], coarse_count: int, steps: int, scale: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prompts, coarse targets and their views for some objects, each from its view 0 (Eq. 6-7)."""
    first = 1 + len(NEARBY_VIEWS)
    draws = [torch.rand(views.view_count - first, generator=draw_generator(seed, "bank", int(i))) for i in objects]
    coarse_views = first + torch.stack(draws).argsort(dim=1)[:, :coarse_count]
    targets = torch.cat([torch.tensor(NEARBY_VIEWS).expand(len(objects), -1), coarse_views], dim=1)
    sources = on_white(views.rgba(objects, torch.zeros(len(objects), 1, dtype=torch.long)))[:, 0]
    source_pose = views.pose(objects, torch.zeros_like(targets))
    poses = pose_token(Pose(*views.pose(objects, targets)), Pose(*source_pose))
    per_object = targets.shape[1]
    context = base.context(
        base.image_embedding(sources).repeat_interleave(per_object, dim=0),
        poses[:, None],
        base.source_latents(sources).repeat_interleave(per_object, dim=0),
    )
    noise = torch.cat(
        [
            torch.randn((per_object, *base.latent_shape), generator=draw_generator(seed, "bank noise", int(i)))
            for i in objects
        ]
    )
    images = base.decode(sample_ddim(base, context, noise, steps, scale))
    pixels = (255.0 * images).round().byte().movedim(1, -1).unflatten(0, (len(objects), per_object)).numpy()
    return pixels[:, : len(NEARBY_VIEWS)], pixels[:, len(NEARBY_VIEWS) :], coarse_views.numpy()
