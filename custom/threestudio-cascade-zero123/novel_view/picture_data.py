"""The source picture from its file, with its camera ("picture-file-datamodule"): for novel views in any host.

Our own runtime has one that also cuts objects out of photographs ("source-picture-datamodule").
"""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

import threestudio
from threestudio.utils.config import parse_structured

from ..cascade.source import centred, read_rgba
from ..common.ranges import within


@dataclass
class PictureFileConfig:
    """The picture, how it is framed, and the camera that it was taken with."""

    image_path: str = ""
    # Larger side of the object's box over the picture's, to which it is reframed; null takes the picture as it is.
    object_ratio: float | None = within(None, 0.1, 1)
    default_elevation_deg: float = within(0.0, -90, 90, "degrees")
    default_azimuth_deg: float = within(0.0, -720, 720, "degrees")
    default_camera_distance: float = within(1.5, 0.01, 1000, "world units")


@threestudio.register("picture-file-datamodule")
class PictureFileDataModule(pl.LightningDataModule):
    """One batch: the picture with its camera; for hosts without this project's preparation of pictures."""

    def __init__(self, cfg: Any = None) -> None:
        super().__init__()
        self.cfg: PictureFileConfig = parse_structured(PictureFileConfig, cfg)

    def test_dataloader(self) -> DataLoader:
        batches: Any = [self.batch()]  # a list is all that a loader asks of a data set
        return DataLoader(batches, batch_size=None)

    def batch(self) -> dict[str, Any]:
        """`rgba` [1 h w 4], straight, in [0, 1]; angles in degrees."""
        rgba, cfg = read_rgba(self.cfg.image_path), self.cfg
        return {
            "rgba": (rgba if cfg.object_ratio is None else centred(rgba, cfg.object_ratio))[None],
            "elevation": torch.tensor([float(cfg.default_elevation_deg)]),
            "azimuth": torch.tensor([float(cfg.default_azimuth_deg)]),
            "camera_distances": torch.tensor([float(cfg.default_camera_distance)]),
        }
