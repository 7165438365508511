"""The source picture alone, with its camera: for what renders nothing."""

from typing import Any

import torch
from torch.utils.data import DataLoader

import threestudio
from threestudio.data.image import SingleImageDataModule


@threestudio.register("source-picture-datamodule")
class SourcePictureDataModule(SingleImageDataModule):
    """The keys of single-image-datamodule, of which those about rays and random cameras have nothing to decide here."""

    def setup(self, stage: str | None = None) -> None:
        pass

    def test_dataloader(self) -> DataLoader:
        return DataLoader([self.batch()], batch_size=None)

    def batch(self) -> dict[str, Any]:
        """`rgba` [1 h w 4], straight, in [0, 1], at the prepared picture's own resolution; angles in degrees."""
        return {
            "rgba": torch.from_numpy(self.fitted.rgba)[None],
            "elevation": torch.tensor([float(self.cfg.default_elevation_deg)]),
            "azimuth": torch.tensor([float(self.cfg.default_azimuth_deg)]),
            "camera_distances": torch.tensor([float(self.cfg.default_camera_distance)]),
        }
