"""Cameras around the object: random ones for training, a turntable for validation and test.

Each training batch is a function of (seed, step) alone, so that a resumed run sees what an uninterrupted one would.
Config keys and their meaning are upstream's.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

import threestudio
from threestudio import cameras
from threestudio.data.resolutions import ResolutionSchedule
from threestudio.utils.base import Updateable
from threestudio.utils.config import parse_structured
from threestudio.utils.misc import get_rank, get_seed, step_generator
from threestudio.utils.ranges import one_of, within
from threestudio.views import Cameras

# What cameras and pictures of a config may be.
DISTANCES = (0.01, 1000.0)  # world units
FIELDS_OF_VIEW_DEG = (0.1, 170.0)
MOST_PIXELS_A_SIDE = 8192
MOST_VIEWS = 10_000
MOST_STEPS = 10**9


@dataclass
class RandomCameraDataModuleConfig:
    # Height, width and batch size are a number each, or a list switched at resolution_milestones.
    height: Any = within(64, 1, MOST_PIXELS_A_SIDE, "pixels")
    width: Any = within(64, 1, MOST_PIXELS_A_SIDE, "pixels")
    batch_size: Any = within(1, 1, MOST_VIEWS, "views")
    resolution_milestones: list[int] = within([], 0, MOST_STEPS, "steps")
    eval_height: int = within(512, 1, MOST_PIXELS_A_SIDE, "pixels")
    eval_width: int = within(512, 1, MOST_PIXELS_A_SIDE, "pixels")
    eval_batch_size: int = within(1, 1, MOST_VIEWS)  # accepted for upstream's files; views are rendered one by one
    n_val_views: int = within(1, 1, MOST_VIEWS)
    n_test_views: int = within(120, 1, MOST_VIEWS)
    elevation_range: tuple[float, float] = within((-10, 90), -90, 90, "degrees", rising=True)
    azimuth_range: tuple[float, float] = within((-180, 180), -720, 720, "degrees", rising=True)
    camera_distance_range: tuple[float, float] = within((1, 1.5), *DISTANCES, "world units", rising=True)
    fovy_range: tuple[float, float] = within((40, 70), *FIELDS_OF_VIEW_DEG, "degrees", rising=True)  # vertical
    camera_perturb: float = within(0.1, 0, 100, "world units")  # uniform
    center_perturb: float = within(0.2, 0, 100, "world units")  # standard deviation
    up_perturb: float = within(0.02, 0, 100)  # standard deviation
    light_position_perturb: float = within(1.0, 0, 100)  # standard deviation
    light_distance_range: tuple[float, float] = within((0.8, 1.5), *DISTANCES, "world units", rising=True)
    eval_elevation_deg: float = within(15.0, -90, 90, "degrees")
    eval_camera_distance: float = within(1.5, *DISTANCES, "world units")
    eval_fovy_deg: float = within(70.0, *FIELDS_OF_VIEW_DEG, "degrees")
    light_sample_strategy: str = one_of("dreamfusion", "magic3d")
    batch_uniform_azimuth: bool = True  # one azimuth in each of batch_size equal sectors
    progressive_until: int = within(0, 0, MOST_STEPS, "steps")  # elevation and azimuth open up from the front view
    # Ours. mixed (upstream): a coin per batch between uniform angles and uniform on the sphere; or one of the two.
    elevation_sampling: str = one_of("mixed", "uniform", "sphere")
    rays_d_normalize: bool = True


class RandomCameraIterableDataset(IterableDataset, Updateable):
    """Yields steps; `collate` makes the batch of a step."""

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        self.cfg = cfg
        self.schedule = ResolutionSchedule.parse(
            "data.random_camera", cfg.height, cfg.width, cfg.resolution_milestones, cfg.batch_size
        )
        self.step = 0

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        self.step = global_step

    def __iter__(self) -> Iterator[int]:
        """From the current step on: Lightning fetches ahead, so the batches themselves have to know theirs."""
        return itertools.count(self.step)

    def collate(self, step: int | None = None) -> dict[str, Any]:
        return self.batch(self.step if step is None else step)

    def batch(self, step: int) -> dict[str, Any]:
        size = self.schedule.at(step)
        generator = step_generator(get_seed(), f"random-camera-{get_rank()}", step)
        elevation_range, azimuth_range = self.progressive_ranges(step)
        elevation_deg = self.sample_elevation(elevation_range, size.batch_size, generator)
        azimuth_deg = self.sample_azimuth(azimuth_range, size.batch_size, generator)
        distance = uniform(self.cfg.camera_distance_range, size.batch_size, generator)
        c2w = self.perturbed_orbit(elevation_deg, azimuth_deg, distance, generator)
        fovy_deg = uniform(self.cfg.fovy_range, size.batch_size, generator)
        views = Cameras(elevation_deg, azimuth_deg, distance, fovy_deg)
        batch = views.batch(size.height, size.width, self.cfg.rays_d_normalize, c2w)
        return batch | {"light_positions": self.sample_lights(c2w[:, :3, 3], generator)}

    def progressive_ranges(self, step: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Elevation and azimuth, opening linearly from (eval_elevation_deg, 0)."""
        until = self.cfg.progressive_until
        opened = min(1.0, step / (until + 1)) if until > 0 else 1.0
        front = (1 - opened) * self.cfg.eval_elevation_deg
        low, high = (front + opened * end for end in self.cfg.elevation_range)
        left, right = (opened * end for end in self.cfg.azimuth_range)
        return (low, high), (left, right)

    def sample_elevation(self, bounds: Sequence[float], count: int, generator: Generator) -> Float[Tensor, "view"]:
        """Uniform in the angle favours the poles; uniform on the sphere does not."""
        coin = torch.rand((), generator=generator) < 0.5
        sampling = self.cfg.elevation_sampling
        if sampling == "uniform" or (sampling == "mixed" and coin):
            return uniform(bounds, count, generator)
        low, high = (cameras.sphere_height(bound) for bound in bounds)
        return cameras.elevation_deg_at(uniform((low, high), count, generator))

    def sample_azimuth(self, bounds: Sequence[float], count: int, generator: Generator) -> Float[Tensor, "view"]:
        if not self.cfg.batch_uniform_azimuth:
            return uniform(bounds, count, generator)
        share = (torch.rand(count, generator=generator) + torch.arange(count)) / count
        return bounds[0] + share * (bounds[1] - bounds[0])

    def perturbed_orbit(
        self,
        elevation_deg: Float[Tensor, "view"],
        azimuth_deg: Float[Tensor, "view"],
        distance: Float[Tensor, "view"],
        generator: Generator,
    ) -> Float[Tensor, "view 4 4"]:
        """The batch's angles stay those before the perturbation, as upstream has it."""
        shape = (len(distance), 3)
        position = cameras.camera_positions(elevation_deg, azimuth_deg, distance)
        position = position + self.cfg.camera_perturb * (2 * torch.rand(shape, generator=generator) - 1)
        center = self.cfg.center_perturb * torch.randn(shape, generator=generator)
        up = cameras.UP + self.cfg.up_perturb * torch.randn(shape, generator=generator)
        return cameras.look_at(position, center, up)

    def sample_lights(self, position: Float[Tensor, "view 3"], generator: Generator) -> Float[Tensor, "view 3"]:
        """Near the camera's direction (DreamFusion), or within 60 degrees of it, uniform in angle (Magic3D)."""
        count = len(position)
        distance = uniform(self.cfg.light_distance_range, count, generator)
        if self.cfg.light_sample_strategy == "dreamfusion":
            noise = self.cfg.light_position_perturb * torch.randn(position.shape, generator=generator)
            return F.normalize(position + noise, dim=-1) * distance[:, None]
        azimuth_deg = uniform((-180.0, 180.0), count, generator)
        elevation_deg = uniform((30.0, 90.0), count, generator)
        local = cameras.camera_positions(elevation_deg, azimuth_deg, distance)
        towards_camera = cameras.look_at(position, torch.zeros_like(position), cameras.UP.expand_as(position))
        return torch.einsum("vij,vj->vi", towards_camera[:, :3, :3], local)


def uniform(bounds: Sequence[float], count: int, generator: Generator) -> Float[Tensor, "view"]:
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=generator)


class RandomCameraDataset(Dataset):
    """A turntable at `eval_elevation_deg`; in test the last view is the first again, as upstream has it."""

    def __init__(self, cfg: Any, split: str) -> None:
        self.cfg = cfg
        self.split = split
        self.n_views = cfg.n_val_views if split == "val" else cfg.n_test_views
        steps = self.n_views + 1 if split == "val" else self.n_views
        self.azimuth_deg = torch.linspace(0, 360, steps)[: self.n_views]

    def __len__(self) -> int:
        return self.n_views

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Rays are made view by view: those of a whole turntable are hundreds of megabytes."""
        azimuth_deg = self.azimuth_deg[index : index + 1]
        elevation_deg = torch.full_like(azimuth_deg, self.cfg.eval_elevation_deg)
        distance = torch.full_like(azimuth_deg, self.cfg.eval_camera_distance)
        fovy_deg = torch.full_like(azimuth_deg, self.cfg.eval_fovy_deg)
        view = Cameras(elevation_deg, azimuth_deg, distance, fovy_deg)
        batch = view.batch(self.cfg.eval_height, self.cfg.eval_width, self.cfg.rays_d_normalize)
        return {"index": index} | {key: value[0] if torch.is_tensor(value) else value for key, value in batch.items()}

    def collate(self, views: list[dict[str, Any]]) -> dict[str, Any]:
        return default_collate(views) | {"height": self.cfg.eval_height, "width": self.cfg.eval_width}


class CameraDataModule(pl.LightningDataModule):
    """Loaders over `train_dataset`, `val_dataset` and `test_dataset`; a resumed run goes on at its step."""

    train_dataset: Any
    val_dataset: Any
    test_dataset: Any

    def train_dataloader(self) -> DataLoader:
        if self.trainer is not None:
            batches = self.trainer.global_step * self.trainer.accumulate_grad_batches
            self.train_dataset.do_update_step(self.trainer.current_epoch, batches)
        return DataLoader(self.train_dataset, batch_size=None, num_workers=0, collate_fn=self.train_dataset.collate)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val_dataset, batch_size=1, num_workers=0, collate_fn=self.val_dataset.collate)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test_dataset, batch_size=1, num_workers=0, collate_fn=self.test_dataset.collate)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()


@threestudio.register("random-camera-datamodule")
class RandomCameraDataModule(CameraDataModule):
    """Random cameras alone, without a picture."""

    def __init__(self, cfg: Any = None) -> None:
        super().__init__()
        self.cfg = parse_structured(RandomCameraDataModuleConfig, cfg)

    def setup(self, stage: str | None = None) -> None:
        if stage in (None, "fit"):
            self.train_dataset = RandomCameraIterableDataset(self.cfg)
        if stage in (None, "fit", "validate"):
            self.val_dataset = RandomCameraDataset(self.cfg, "val")
        if stage in (None, "test", "predict"):
            self.test_dataset = RandomCameraDataset(self.cfg, "test")
