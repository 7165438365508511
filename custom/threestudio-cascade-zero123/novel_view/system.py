"""Novel views of a picture from the command line ("novel-view-system"); nothing is trained.

    python launch.py --config configs/novel-view.yaml --test data.image_path=cat.png

The batch is the prepared picture and its camera: `rgba` [1 h w 4] in [0, 1], `elevation`, `azimuth` in degrees and
`camera_distances`; and perhaps `further` pictures, each with azimuth and elevation. Below the save folder: views/ (and
coarse/, prompt-views/) as PNG, cameras.json, grid.png and, of several views, turntable.mp4.
"""

from dataclasses import dataclass
from typing import Any

import threestudio
from threestudio.systems.base import BaseSystem

from ..cascade.cache import ViewCache
from ..cascade.models import CascadeModels, Residence
from ..cascade.settings import CascadeConfig, stages_of
from ..cascade.source import given_views
from ..cascade.stages import Cascade, console_bars
from ..common.ranges import within
from ..common.seeding import LARGEST_SEED
from ..views import Cameras, Views
from ..zero123.precision import dtype_of
from ..zero123.sampler import MOST_STEPS, SCALES
from .output import as_bytes, camera_list, labelled_rows, save_views, sheet
from .sampling import NovelViews, TargetSampling, imagine, refine, target_poses


@threestudio.register("novel-view-system")
class NovelViewSystem(BaseSystem):
    """`--test` samples the cascade's views at the given cameras and saves them; nothing is trained."""

    nothing_to_train = True  # so the host asks for no checkpoint

    @dataclass
    class Config(CascadeConfig, BaseSystem.Config):
        # Target cameras in degrees: rings, one for each elevation, and [azimuth, elevation] or with a distance.
        azimuths: list = within([], -720, 720, "degrees")
        elevations: list = within([], -90, 90, "degrees")
        poses: list = within([], -1000, 1000)

        steps: int = within(50, 1, MOST_STEPS, "of DDIM")  # of the views
        guidance_scale: float = within(3.0, *SCALES)
        eta: float = within(0.0, 0, 1)  # 0: the seed's first noise decides all; 1: noise in every step
        seed: int = within(0, 0, LARGEST_SEED)
        chunk: int = within(8, 1, 10_000, "views")  # in a network at once; fewer take less memory, and change no more
        coarse_target: bool = True  # show the Refiner Base's own view from the target
        fovy_deg: float | None = within(None, 0.1, 170, "degrees")  # for cameras.json; null: as the weights' training
        fps: int = within(8, 1, 240)  # of the turntable

    cfg: Config

    def configure(self) -> None:
        cfg = self.cfg
        self.choices, self.stages = stages_of(cfg, "system")
        self.sampling = TargetSampling(cfg.steps, cfg.guidance_scale, cfg.seed, cfg.eta, cfg.chunk)
        target_poses(cfg.poses, cfg.azimuths, cfg.elevations, 1.0)  # refuses before anything is loaded

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        cfg, models = self.cfg, self._models()
        cascade = Cascade(self.stages, models, ViewCache(cfg.cache_dir))
        camera = Cameras(batch["elevation"], batch["azimuth"], batch["camera_distances"])
        targets = target_poses(cfg.poses, cfg.azimuths, cfg.elevations, float(camera.distance[0]), self.device)
        refiner = models.refiner
        given = given_views(refiner, batch["rgba"][0], camera, batch.get("further", ()))
        with models.sampling():
            imagined = imagine(cascade, given, targets, self.sampling, cfg.coarse_target, console_bars)
        with models.visit():
            views = refine(refiner, imagined, targets, self.sampling, console_bars)
        self._save(views, cfg.fovy_deg or refiner.settings.fovy_deg)

    def _models(self) -> CascadeModels:
        threestudio.info(f"Loading Zero-1-to-3 weights: {self.choices[-1].weights}")
        residence = Residence(self.device, dtype_of(self.cfg.precision, self.device), spare_device=self.cfg.vram_O)
        models = CascadeModels(self.choices, residence)
        if models.refiner.settings.notice:
            threestudio.info(models.refiner.settings.notice)
        return models

    def _save(self, views: NovelViews, fovy_deg: float) -> None:
        files = self._save_pictures("views", views.views)
        if views.coarse is not None:
            self._save_pictures("coarse", views.coarse)
        self.save_image("input.png", as_bytes(views.shown.pictures[0]))
        save_views(views.shown, 1, self.get_save_path("prompt-views"))
        self.save_json("cameras.json", camera_list(views, files, fovy_deg))
        self.save_image("grid.png", sheet(labelled_rows(views)))
        if len(files) > 1:
            self.save_img_sequence("turntable", "views", r"(\d+)\.png", save_format="mp4", fps=self.cfg.fps)
        threestudio.info(f"{len(files)} novel views, and all of them at a glance: {self.get_save_path('grid.png')}")

    def _save_pictures(self, folder: str, views: Views) -> list[str]:
        """Paths below the save folder."""
        files = [f"{folder}/{index:03d}.png" for index in range(len(views))]
        for file, image in zip(files, views.pictures, strict=True):
            self.save_image(file, as_bytes(image))
        return files
