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
        batches: Any = [self.batch()]  # a list is all that a loader asks of a data set
        return DataLoader(batches, batch_size=None)

    def batch(self) -> dict[str, Any]:
        """`rgba` [1 h w 4], straight, in [0, 1], at the prepared picture's own resolution; angles in degrees.

        `further` are other pictures of the object, each with its azimuth and elevation.
        """
        camera = self.camera.to(torch.float32)
        return {
            "rgba": torch.from_numpy(self.fitted.rgba)[None],
            "elevation": camera.elevation_deg,
            "azimuth": camera.azimuth_deg,
            "camera_distances": camera.distance,
            "further": self.further_to_show(),
        }
