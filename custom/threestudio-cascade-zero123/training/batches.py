"""Endless random training batches: a source view, a target view and context views of each object.

Base training shows true other views as context; Refiner training what Base samples (Sec. 3.4).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import IterableDataset

from ..seeding import draw_generator
from ..zero123.white import on_white
from .prompt_bank import PromptBank
from .rendered_views import NEARBY_VIEWS, PackedViews, augment, draw_views


@dataclass
class RenderedViewsConfig:
    train_folder: str = ""
    val_folder: str = ""
    seed: int = 0
    batch_size: int = 32  # of one process
    max_context: int = 4  # true other views as context, at most
    context_probability: float = 0.5  # of a batch to have any
    target_shown_probability: float = 0.0  # of a row of such a batch to have the target among them
    prompt_bank: str = ""  # folder of what Base samples, instead of true views (Refiner training)
    context_dropout: float = 0.3  # of each self-prompted view and the coarse target
    source_first_probability: float = 0.7  # that the source is view 0
    object_ratio: float = 0.75  # larger side of the object's box in the source, over the image side
    zoom_range: tuple[float, float] = (0.8, 1.3)  # how far views are scaled to reach it; more would crop side views
    val_objects: int = 192
    val_batch_size: int = 32


class TrainingViews(IterableDataset):
    """Endless batches: `images` [b view 3 h w] (source, target, context...), `elevation_deg`, `azimuth_deg`, `distance`
    [b view]. The draws of a step follow from (seed, rank, step) alone."""

    def __init__(self, views: PackedViews, cfg: RenderedViewsConfig, rank: int, first_step: int) -> None:
        super().__init__()
        self.views, self.cfg, self.rank, self.first_step = views, cfg, rank, first_step

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for step in itertools.count(self.first_step):
            generator = draw_generator(self.cfg.seed, "views", step, self.rank)
            # All processes have to agree on the number of tokens, or one would wait for the other.
            shared = draw_generator(self.cfg.seed, "context", step)
            yield self.draw(generator, self.draw_context(shared))

    def draw_context(self, generator: torch.Generator) -> list[int]:
        """Which context views the batch shows; often none."""
        wanted = torch.rand((), generator=generator) < self.cfg.context_probability
        count = int(torch.randint(1, self.cfg.max_context + 1, (), generator=generator)) if self.cfg.max_context else 0
        return list(range(count)) if wanted else []

    def draw(self, generator: torch.Generator, context: list[int]) -> dict[str, Tensor]:
        count = self.cfg.batch_size
        objects = torch.randint(len(self.views), (count,), generator=generator)
        columns = draw_views(count, self.views.view_count, len(context), self.cfg.source_first_probability, generator)
        if context:
            shown = torch.rand(count, generator=generator) < self.cfg.target_shown_probability
            columns[shown, 2] = columns[shown, 1]
        return self.batch(objects, columns, self.views.rgba(objects, columns), generator)

    def batch(
        self,
        objects: Int[Tensor, "b"],
        columns: Int[Tensor, "b k"],
        rgba: Float[Tensor, "b k 4 h w"],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        pose = self.views.pose(objects, columns)
        azimuth_deg = pose.azimuth_deg.view(columns.shape)
        rgba, azimuth_deg = augment(rgba, azimuth_deg, self.cfg.object_ratio, tuple(self.cfg.zoom_range), generator)
        return {
            "images": on_white(rgba),
            "elevation_deg": pose.elevation_deg.view(columns.shape),
            "azimuth_deg": azimuth_deg,
            "distance": pose.distance.view(columns.shape),
        }


class RefinerViews(TrainingViews):
    """As `TrainingViews`, with what Base samples in place of true context views.

    Each of the self-prompted views and the coarse target is there or not at random. The coarse target stands at the
    target's own pose, so that its token is the zero transition.
    """

    def __init__(
        self, views: PackedViews, bank: PromptBank, cfg: RenderedViewsConfig, rank: int, first_step: int
    ) -> None:
        super().__init__(views, cfg, rank, first_step)
        self.bank = bank

    def draw_context(self, generator: torch.Generator) -> list[int]:
        """Which of the prompts (0..) and the coarse target (last) the batch shows."""
        kept = torch.rand(len(NEARBY_VIEWS) + 1, generator=generator) >= self.cfg.context_dropout
        return kept.nonzero().flatten().tolist()

    def draw(self, generator: torch.Generator, context: list[int]) -> dict[str, Tensor]:
        count = self.cfg.batch_size
        objects = torch.randint(len(self.bank), (count,), generator=generator)
        coarse = torch.randint(self.bank.coarse.shape[1], (count,), generator=generator)
        target = torch.from_numpy(self.bank.coarse_views[objects.numpy(), coarse.numpy()])[:, None]
        source = torch.zeros_like(target)
        nearby = torch.tensor(NEARBY_VIEWS).expand(count, -1)
        columns = torch.cat([source, target, torch.cat([nearby, target], dim=1)[:, context]], dim=1)
        sampled = self.bank.context_rgba(objects, coarse)[:, context]
        return self.batch(
            objects, columns, torch.cat([self.views.rgba(objects, columns[:, :2]), sampled], dim=1), generator
        )
