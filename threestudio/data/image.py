"""One picture, seen from its own camera, and random cameras around it: what image-to-3D trains on.

`rgb` and `rgba` are straight (not premultiplied) in [0, 1]; `mask` is alpha above 0.5. Config keys and batch are
upstream's, plus `background_removal`, `object_ratio`, `recenter` and `fill_white`.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import IterableDataset

import threestudio
from threestudio.data.resolutions import Resolution, ResolutionSchedule
from threestudio.data.uncond import (
    DISTANCES,
    FIELDS_OF_VIEW_DEG,
    MOST_PIXELS_A_SIDE,
    MOST_STEPS,
    MOST_VIEWS,
    CameraDataModule,
    RandomCameraDataModuleConfig,
    RandomCameraDataset,
    RandomCameraIterableDataset,
)
from threestudio.picture.cut_out import METHODS
from threestudio.picture.further_pictures import further_pictures, save_further
from threestudio.picture.picture import Picture, prepare_picture
from threestudio.picture.white import white_share, without_white
from threestudio.utils.base import Updateable
from threestudio.utils.config import parse_structured
from threestudio.utils.misc import get_seed, step_generator
from threestudio.utils.ranges import one_of, within
from threestudio.views import Cameras

TOLD_SHARE = 0.02  # of the object: fewer white pixels than that are not worth a line


@dataclass
class SingleImageDataModuleConfig:
    # Height and width are a number each, or a list switched at resolution_milestones.
    height: Any = within(96, 1, MOST_PIXELS_A_SIDE, "pixels")
    width: Any = within(96, 1, MOST_PIXELS_A_SIDE, "pixels")
    resolution_milestones: list[int] = within([], 0, MOST_STEPS, "steps")
    default_elevation_deg: float = within(0.0, -90, 90, "degrees")
    default_azimuth_deg: float = within(-180.0, -720, 720, "degrees")
    default_camera_distance: float = within(1.2, *DISTANCES, "world units")
    default_fovy_deg: float = within(60.0, *FIELDS_OF_VIEW_DEG, "degrees")  # vertical
    image_path: str = ""
    use_random_camera: bool = True
    random_camera: dict = field(default_factory=dict)  # RandomCameraDataModuleConfig
    rays_noise_scale: float = within(2e-3, 0, 1)  # standard deviation of one shift a step, against aliasing
    batch_size: int = within(1, 1, MOST_VIEWS)  # accepted for upstream's files; there is one picture
    requires_depth: bool = False  # from the file named as the picture, with _depth for _rgba
    requires_normal: bool = False  # likewise _normal
    # Ours.
    background_removal: str = one_of(*METHODS)  # for a picture without transparency
    object_ratio: float = within(0.75, 0.1, 1.0)  # larger side of the object's box / side of the square
    recenter: bool = True  # crop to the object and centre it; else only pad to a square
    rays_d_normalize: bool = True
    fill_white: bool = False  # for a model that takes white for background: white_parts.py
    # Further pictures of the object, {file: {azimuth: .., elevation: ..}} in degrees, or a cameras.json that names
    # them: further_pictures.py. The guidance is shown them, and the field is fitted to them as to the first.
    pictures: Any = within({}, -720, 720, "degrees", text=True)
    fit_pictures: bool = True


def source_camera(cfg: Any) -> Cameras:
    """That took the picture."""
    return Cameras.one(
        cfg.default_elevation_deg, cfg.default_azimuth_deg, cfg.default_camera_distance, cfg.default_fovy_deg
    )


@dataclass
class SeenPicture:
    """A prepared picture and its camera, as batches of any resolution; each is computed once."""

    cfg: Any
    picture: Picture
    camera: Cameras
    _batches: dict[Resolution, dict[str, Any]] = field(default_factory=dict)

    def batch(self, size: Resolution) -> dict[str, Any]:
        """Camera and pixels, of one view."""
        if size not in self._batches:
            camera = self.camera.to(torch.float32).batch(size.height, size.width, normalize=False)
            self._batches[size] = camera | self.pixels(size)
        return self._batches[size]

    def pixels(self, size: Resolution) -> dict[str, Any]:
        """`ref_depth` and `ref_normal` are None unless the config asks for them."""
        rgba = self.picture.at(size.height, size.width)[None]
        return {
            "rgb": rgba[..., :3].contiguous(),
            "mask": rgba[..., 3:] > 0.5,
            "rgba": rgba,
            "ref_depth": self.companion("depth", size)[..., :1] if self.cfg.requires_depth else None,
            "ref_normal": self.companion("normal", size) if self.cfg.requires_normal else None,
        }

    def companion(self, what: str, size: Resolution) -> Float[Tensor, "1 h w c"]:
        """cat_rgba.png goes with cat_depth.png, and so does cat.png."""
        path = self.picture.path
        name = f"{path.stem.removesuffix('_rgba')}_{what}.png"
        return self.picture.aligned(path.with_name(name), size.height, size.width)[None]


class SingleImageIterableDataset(IterableDataset, Updateable):
    """Yields steps; `collate` makes the batch of a step: the source, and in turn one of `further` pictures."""

    def __init__(self, cfg: Any, source: SeenPicture, further: Sequence[SeenPicture] = ()) -> None:
        super().__init__()
        self.cfg, self.source, self.further = cfg, source, further
        self.schedule = ResolutionSchedule.parse("data", cfg.height, cfg.width, cfg.resolution_milestones)
        self.random_pose_generator = None
        if cfg.use_random_camera:
            self.random_pose_generator = RandomCameraIterableDataset(random_camera_config(cfg))
        self.step = 0

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        self.step = global_step

    def __iter__(self) -> Iterator[int]:
        """From the current step on: Lightning fetches ahead, so the batches themselves have to know theirs."""
        return itertools.count(self.step)

    def get_all_images(self) -> Float[Tensor, "1 h w 3"]:
        """Upstream's name of the source's pixels."""
        return self.source.batch(self.schedule.at(self.step))["rgb"]

    def collate(self, step: int | None = None) -> dict[str, Any]:
        """The batch of a step; `further`, where there are such pictures, is a batch like the source's."""
        step = self.step if step is None else step
        batch = self.shifted(self.source, "source-rays", step)
        if self.further:
            batch["further"] = self.shifted(self.further[step % len(self.further)], "further-rays", step)
        if self.random_pose_generator is not None:
            batch["random_camera"] = self.random_pose_generator.batch(step)
        return batch

    def shifted(self, seen: SeenPicture, purpose: str, step: int) -> dict[str, Any]:
        """With one small random shift of all origins and one of all directions, so that no pixel grid is learnt."""
        batch = dict(seen.batch(self.schedule.at(step)))
        generator = step_generator(get_seed(), purpose, step)
        shift = self.cfg.rays_noise_scale * torch.randn(2, 3, generator=generator)
        rays_d = batch["rays_d"] + shift[1]
        batch["rays_o"] = batch["rays_o"] + shift[0]
        batch["rays_d"] = F.normalize(rays_d, dim=-1) if self.cfg.rays_d_normalize else rays_d
        return batch


def random_camera_config(cfg: Any) -> Any:
    """The block `random_camera`, with what it shares with the picture's own camera."""
    return parse_structured(RandomCameraDataModuleConfig, cfg.random_camera)


@threestudio.register("single-image-datamodule")
class SingleImageDataModule(CameraDataModule):
    """The picture with its camera, further ones, and the random and the turntable's cameras."""

    def __init__(self, cfg: Any = None) -> None:
        super().__init__()
        self.cfg = parse_structured(SingleImageDataModuleConfig, cfg)
        self.turntable = random_camera_config(self.cfg)
        self._white_stays = False

    @cached_property
    def picture(self) -> Picture:
        return prepare_picture(
            self.cfg.image_path, self.cfg.object_ratio, self.cfg.background_removal, self.cfg.recenter
        )

    @cached_property
    def camera(self) -> Cameras:
        """Of the picture."""
        return source_camera(self.cfg)

    @cached_property
    def further(self) -> list[tuple[Picture, Cameras]]:
        """Other pictures of the object, as they were taken."""
        return further_pictures(self.cfg, self.picture, self.camera) if self.cfg.pictures else []

    @property
    def fills_white(self) -> bool:
        """Whether the field and the model are given the colours around white parts."""
        return self.cfg.fill_white and not self._white_stays

    def as_fitted(self, picture: Picture) -> Picture:
        """A picture as the field is fitted to it and the model sees it."""
        return replace(picture, rgba=without_white(picture.rgba)) if self.fills_white else picture

    @cached_property
    def fitted(self) -> Picture:
        """The source, so."""
        return self.as_fitted(self.picture)

    @cached_property
    def fitted_further(self) -> list[tuple[Picture, Cameras]]:
        """And the further ones."""
        return [(self.as_fitted(picture), camera) for picture, camera in self.further]

    def further_to_show(self) -> list[tuple[Float[Tensor, "side side 4"], float, float]]:
        """The further pictures as a guidance takes them, each with azimuth and elevation in degrees."""
        return [
            (torch.from_numpy(picture.rgba), float(camera.azimuth_deg), float(camera.elevation_deg))
            for picture, camera in self.fitted_further
        ]

    def keep_white(self) -> None:
        """Whatever `fill_white` says: for a model that sees opacity, to which white is a colour like others."""
        self._white_stays = True
        for name in ("fitted", "fitted_further"):
            self.__dict__.pop(name, None)
        self.train_dataset = self._train_dataset()

    def _train_dataset(self) -> SingleImageIterableDataset:
        further = self.fitted_further if self.cfg.fit_pictures else []
        seen = [SeenPicture(self.cfg, *one) for one in [(self.fitted, self.camera), *further]]
        return SingleImageIterableDataset(self.cfg, seen[0], seen[1:])

    def save_input(self, folder: str | Path) -> None:
        """The prepared picture, as input.png; another one that the field is fitted to, as fitted.png; further/."""
        self.picture.save(Path(folder) / "input.png")
        save_further(Path(folder) / "further", self.further)
        if self.fitted is self.picture:
            return
        self.fitted.save(Path(folder) / "fitted.png")
        share = white_share(torch.from_numpy(self.picture.rgba).permute(2, 0, 1))
        if share > TOLD_SHARE:
            threestudio.info(
                f"{share:.0%} of the object is nearly white, which the model would take for background; the field is "
                "fitted with the colours around it, the texture is as white as the picture (data.fill_white)"
            )

    def setup(self, stage: str | None = None) -> None:
        if stage in (None, "fit"):
            self.train_dataset = self._train_dataset()
        if stage in (None, "fit", "validate"):
            self.val_dataset = RandomCameraDataset(self.turntable, "val")
        if stage in (None, "test", "predict"):
            self.test_dataset = RandomCameraDataset(self.turntable, "test")
