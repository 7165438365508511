"""Endless random training batches: a source view, a target view and true other views of each object as context."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from ..common.errors import UserError
from ..common.ranges import within
from ..common.seeding import LARGEST_SEED, draw_generator
from ..views import Cameras, Views
from ..zero123.white import as_seen
from .mixed_views import MixedViews
from .prompts import PromptsConfig
from .rendered_views import RenderedViews, augment, draw_views, paled


@dataclass
class RenderedViewsConfig:
    """Which views are trained on, and how batches are drawn and varied."""

    train_folder: str = ""  # as `open_views` takes: packed arrays, a folder of objects, WebDataset shards
    # [[folder, share of the objects drawn], ...]; train_folder has the rest.
    mixed_with: list = within([], 0, 1, text=True)
    val_folder: str = ""
    image_size: int | None = within(None, 1, 8192, "pixels")  # views are resized to the model's; that alone
    seed: int = within(0, 0, LARGEST_SEED)
    batch_size: int = within(32, 1, 100_000)  # of one process
    num_workers: int = within(0, 0, 1024)  # processes that load batches ahead, for each that trains; 0: none
    max_context: int = within(4, 0, 1000, "views")  # true other views as context, at most
    context_probability: float = within(0.5, 0, 1)  # of a batch to have any
    target_shown_probability: float = within(0.0, 0, 1)  # of a row of such a batch to have the target among them
    source_first_probability: float = within(0.7, 0, 1)  # that the source is view 0; 0 where no view is special
    augment: bool = False  # mirror images, channel permutations and zooms, for few objects; Zero-1-to-3 has none
    object_ratio: float = within(0.75, 0.1, 1)  # to zoom to: larger side of the source's box, over the image side
    # How far views are scaled to reach it; more would crop side views.
    zoom_range: tuple[float, float] = within((0.8, 1.3), 0.05, 20, rising=True)
    pale_probability: float = within(0.0, 0, 1)  # of an object to be bleached: for models that see opacity
    val_objects: int = within(192, 1, 10**9)
    val_batch_size: int = within(32, 1, 100_000)


class TrainingViews(IterableDataset):
    """Endless batches of `views` [b view] (source, target, context...). The draws of a step follow from (seed, rank,
    step) alone, whichever process loads it. Pictures are as a model of so many `channels` sees them.

    With `prompts`, a Refiner's: `examples` for its pool where some are due, and views only where there is context,
    since the other batches are drawn from the pool.
    """

    def __init__(
        self,
        views: RenderedViews | MixedViews,
        cfg: RenderedViewsConfig,
        rank: int,
        first_step: int,
        prompts: PromptsConfig | None = None,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.views, self.cfg, self.rank, self.first_step, self.prompts = views, cfg, rank, first_step, prompts
        self.channels = channels
        self.source_first_probability = cfg.source_first_probability if views.has_nearby_views else 0.0

    def __iter__(self) -> Iterator[dict[str, Any] | UserError | OSError]:
        """Of several loading processes each has every n-th step; what stops one is handed over, to be raised whole."""
        worker = get_worker_info()
        if worker is None:
            yield from map(self.of_step, itertools.count(self.first_step))
            return
        for step in itertools.count(self.first_step + worker.id, worker.num_workers):
            try:
                yield self.of_step(step)
            except (UserError, OSError) as error:
                yield error
                return

    def of_step(self, step: int) -> dict[str, Any]:
        """With `broken_objects`, how many this process has noticed, where objects can be broken."""
        batch, broken = self._of_step(step), getattr(self.views, "broken", None)
        return batch if broken is None else {**batch, "broken_objects": torch.tensor(float(len(broken)))}

    def _of_step(self, step: int) -> dict[str, Any]:
        generator = draw_generator(self.cfg.seed, "views", step, self.rank)
        # All processes have to agree on the number of tokens, or one would wait for the other.
        context = self.draw_context(draw_generator(self.cfg.seed, "context", step))
        if self.prompts is None:
            return {"views": self.draw(generator, context)}
        batch: dict[str, Any] = {"views": self.draw(generator, context)} if context else {}
        due = self.prompts.due(step, self.cfg.batch_size)
        return {**batch, "examples": self.examples(due, self.prompts.targets, step)} if due else batch

    def examples(self, count: int, targets: int, step: int) -> Views:
        """Sources (column 0) with several targets each, for the Refiner's pool (prompts.py)."""
        generator = draw_generator(self.cfg.seed, "examples", step, self.rank)
        objects = self.draw_objects(count, generator)
        columns = draw_views(count, self.views.view_count, targets - 1, self.source_first_probability, generator)
        return self.batch(objects, columns, self.views.rgba(objects, columns), generator)

    def draw_objects(self, count: int, generator: torch.Generator) -> Int[Tensor, "b"]:
        if isinstance(self.views, MixedViews):
            return self.views.draw(count, generator)
        return torch.randint(len(self.views), (count,), generator=generator)

    def draw_context(self, generator: torch.Generator) -> list[int]:
        """Which context views the batch shows; often none."""
        wanted = torch.rand((), generator=generator) < self.cfg.context_probability
        count = int(torch.randint(1, self.cfg.max_context + 1, (), generator=generator)) if self.cfg.max_context else 0
        return list(range(count)) if wanted else []

    def draw(self, generator: torch.Generator, context: list[int]) -> Views:
        count = self.cfg.batch_size
        objects = self.draw_objects(count, generator)
        columns = draw_views(count, self.views.view_count, len(context), self.source_first_probability, generator)
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
    ) -> Views:
        cameras = self.views.cameras_of(objects, columns)
        azimuth_deg = cameras.azimuth_deg
        if self.cfg.pale_probability > 0:
            rgba = paled(rgba, self.cfg.pale_probability, generator)
        if self.cfg.augment:
            smallest, largest = self.cfg.zoom_range
            rgba, azimuth_deg = augment(rgba, azimuth_deg, self.cfg.object_ratio, (smallest, largest), generator)
        cameras = Cameras(cameras.elevation_deg, azimuth_deg, cameras.distance)
        return Views(as_seen(rgba, self.channels), cameras)
