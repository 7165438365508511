"""Lightning data module over rendered views: endless random training batches, fixed validation batches."""

from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import threestudio
from threestudio.utils.config import parse_structured

from ..seeding import draw_generator
from ..zero123.pose import Pose
from ..zero123.white import on_white
from .batches import RefinerViews, RenderedViewsConfig, TrainingViews
from .prompt_bank import PromptBank
from .rendered_views import NEARBY_VIEWS, PackedViews


class ValidationViews(Dataset):
    """One batch of each object's: view 0 to a fixed other view, with the nearby views as context."""

    def __init__(self, views: PackedViews, count: int, batch_size: int) -> None:
        self.views, self.batch_size = views, batch_size
        self.count = min(count, len(views))

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        objects = torch.arange(index * self.batch_size, min((index + 1) * self.batch_size, self.count))
        first = 1 + len(NEARBY_VIEWS)
        targets = first + objects % (self.views.view_count - first)
        nearby = torch.tensor(NEARBY_VIEWS).expand(len(objects), -1)
        columns = torch.cat([torch.zeros(len(objects), 1, dtype=torch.long), targets[:, None], nearby], dim=1)
        pose: Pose = self.views.pose(objects, columns)
        return {
            "images": on_white(self.views.rgba(objects, columns)),
            "elevation_deg": pose.elevation_deg.view(columns.shape),
            "azimuth_deg": pose.azimuth_deg.view(columns.shape),
            "distance": pose.distance.view(columns.shape),
        }


@threestudio.register("rendered-views-datamodule")
class RenderedViewsDataModule(pl.LightningDataModule):
    """See `RenderedViewsConfig`; the packed layout is described in `rendered_views.py`."""

    def __init__(self, cfg: Any = None) -> None:
        super().__init__()
        self.cfg: RenderedViewsConfig = parse_structured(RenderedViewsConfig, cfg)

    def setup(self, stage: str | None = None) -> None:
        self.val = ValidationViews(PackedViews(self.cfg.val_folder), self.cfg.val_objects, self.cfg.val_batch_size)
        if stage in (None, "fit"):
            self.train_views = PackedViews(self.cfg.train_folder)

    def train_dataloader(self) -> DataLoader:
        """Goes on at the trainer's step, so that a resumed run sees the batches that it would have seen."""
        rank, step = self.trainer.global_rank, self.trainer.global_step
        if self.cfg.prompt_bank:
            training = RefinerViews(self.train_views, PromptBank(self.cfg.prompt_bank), self.cfg, rank, step)
        else:
            training = TrainingViews(self.train_views, self.cfg, rank, step)
        return DataLoader(training, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=None)

    def sample_images(self, count: int) -> Float[Tensor, "view 3 h w"]:
        """Source views of training objects, spread evenly, on white."""
        objects = torch.linspace(0, len(self.train_views) - 1, min(count, len(self.train_views))).long()
        return on_white(self.train_views.rgba(objects, torch.zeros(len(objects), 1, dtype=torch.long)))[:, 0]

    def encoder_images(self, step: int) -> Float[Tensor, "view 3 h w"]:
        """Two views each of some training objects, augmented as in training, on white."""
        views = TrainingViews(self.train_views, self.cfg, rank=0, first_step=0)
        return views.draw(draw_generator(self.cfg.seed, "encoder", step), context=[])["images"].flatten(0, 1)
