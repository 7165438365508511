"""Lightning data module over rendered views: endless random training batches, fixed validation batches."""

from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import threestudio
from threestudio.utils.config import parse_structured

from ..common.errors import UserError
from ..common.seeding import draw_generator
from ..views import Views
from ..zero123.white import as_seen
from .batches import RenderedViewsConfig, TrainingViews
from .fitting_views import training_set, views_for
from .loading_process import StayWithTheTrainer
from .rendered_views import NEARBY_VIEWS, RenderedViews


class ValidationViews(Dataset):
    """One batch of each object's: view 0 to a fixed other view, with the nearby views as context (else, others)."""

    def __init__(self, views: RenderedViews, count: int, batch_size: int, channels: int = 3) -> None:
        if views.view_count < 2 + len(NEARBY_VIEWS):
            raise UserError(
                f"data.val_folder: {views.view_count} views an object; validation needs {2 + len(NEARBY_VIEWS)} or more"
            )
        self.views, self.batch_size, self.channels = views, batch_size, channels
        self.count = min(count, len(views))

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __getitem__(self, index: int) -> Views:
        objects = torch.arange(index * self.batch_size, min((index + 1) * self.batch_size, self.count))
        first = 1 + len(NEARBY_VIEWS)
        targets = first + objects % (self.views.view_count - first)
        context = torch.tensor(NEARBY_VIEWS).expand(len(objects), -1)
        columns = torch.cat([torch.zeros(len(objects), 1, dtype=torch.long), targets[:, None], context], dim=1)
        pictures = as_seen(self.views.rgba(objects, columns), self.channels)
        return Views(pictures, self.views.cameras_of(objects, columns))


@threestudio.register("rendered-views-datamodule")
class RenderedViewsDataModule(pl.LightningDataModule):
    """See `RenderedViewsConfig`; the packed layout is described in `rendered_views.py`."""

    def __init__(self, cfg: Any = None) -> None:
        super().__init__()
        self.cfg: RenderedViewsConfig = parse_structured(RenderedViewsConfig, cfg)

    @property
    def training(self) -> Any:
        """Lightning's trainer, which a data module has from the start of a run on."""
        assert self.trainer is not None
        return self.trainer

    def setup(self, stage: str | None = None) -> None:
        model = self.training.lightning_module.model
        settings, self.channels = model.settings, model.channels
        val_views = views_for(settings, self.cfg.val_folder, self.cfg.image_size)
        self.val = ValidationViews(val_views, self.cfg.val_objects, self.cfg.val_batch_size, self.channels)
        if stage in (None, "fit"):
            self.train_views = training_set(settings, self.cfg)

    def train_dataloader(self) -> DataLoader:
        """Goes on at the trainer's step, so that a resumed run sees the batches that it would have seen."""
        step = self.training.global_step * self.training.accumulate_grad_batches
        views = self.training_views(step)
        return DataLoader(views, batch_size=None, num_workers=self.cfg.num_workers, worker_init_fn=StayWithTheTrainer())

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """See `TrainingViews.__iter__`."""
        if isinstance(batch, Exception):
            raise batch
        return batch

    def training_views(self, first_step: int = 0) -> TrainingViews:
        """The draws of this process."""
        pool = self.training.lightning_module.pool
        prompts = None if pool is None else pool.cfg
        return TrainingViews(self.train_views, self.cfg, self.training.global_rank, first_step, prompts, self.channels)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=None)

    def test_dataloader(self) -> DataLoader:
        """Nothing: upstream's launch.py tests whatever it has trained."""
        nothing: Any = []
        return DataLoader(nothing)

    def sample_images(self, count: int) -> Float[Tensor, "view channel h w"]:
        """Source views of training objects, spread evenly, as the model sees them."""
        objects = torch.linspace(0, len(self.train_views) - 1, min(count, len(self.train_views))).long()
        rgba = self.train_views.rgba(objects, torch.zeros(len(objects), 1, dtype=torch.long))[:, 0]
        return as_seen(rgba, self.channels)

    def encoder_images(self, step: int) -> Float[Tensor, "view channel h w"]:
        """Two views each of some training objects, drawn as in training, as the model sees them."""
        views = self.training_views().draw(draw_generator(self.cfg.seed, "encoder", step), context=[])
        return views.pictures.flatten(0, 1)
