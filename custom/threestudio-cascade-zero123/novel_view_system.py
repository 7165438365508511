"""Novel views of a picture from the command line ("novel-view-system"); nothing is trained.

    python launch.py --config configs/novel-view.yaml --test data.image_path=cat.png

The batch is the prepared picture and its camera: `rgba` [1 h w 4] in [0, 1], `elevation`, `azimuth` in degrees and
`camera_distances`. Below the save folder: views/ (and coarse/, prompt-views/) as PNG, cameras.json, grid.png and, of
several views, turntable.mp4.
"""

from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

import threestudio
from threestudio.systems.base import BaseSystem

from .cascade.cache import ViewCache
from .cascade.prompt_views import NEARBY_DEG, Sampling, angle_pairs
from .cascade.source import as_model_sees
from .model_pair import ModelPair, Residence, chosen
from .novel_view import (
    NovelViews,
    Prompting,
    TargetSampling,
    base_stage,
    console_bars,
    refiner_stage,
    target_poses,
)
from .ranges import one_of, within
from .seeding import LARGEST_SEED
from .views_output import as_bytes, camera_list, labelled_rows, sheet
from .zero123.pose import Pose
from .zero123.precision import dtype_of
from .zero123.sampler import MOST_STEPS, SCALES


@threestudio.register("novel-view-system")
class NovelViewSystem(BaseSystem):
    nothing_to_train = True  # so the host asks for no checkpoint

    @dataclass
    class Config(BaseSystem.Config):
        # {weights, config, pose_token} of load_zero123 (zero123/weights.py). Refiner defaults to Base.
        base: dict = field(default_factory=dict)
        refiner: dict = field(default_factory=dict)

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

        prompt_views: list = within([list(offset) for offset in NEARBY_DEG], -720, 720, "degrees")
        prompt_steps: int = within(25, 1, MOST_STEPS, "of DDIM")  # and scale: also of the coarse targets
        prompt_scale: float = within(3.0, *SCALES)
        prompt_seed: int = within(0, 0, LARGEST_SEED)
        cache_dir: str | None = "outputs/.cache/prompt-views"  # null keeps nothing

        precision: str = one_of("fp32", "fp16", "bf16", "auto")  # zero123/precision.py
        vram_O: bool = True  # only what a stage runs is on the device
        fovy_deg: float | None = within(None, 0.1, 170, "degrees")  # for cameras.json; null: as the weights' training
        fps: int = within(8, 1, 240)  # of the turntable

    cfg: Config

    def configure(self) -> None:
        cfg = self.cfg
        self.choices = chosen(cfg.base, cfg.refiner, block="system")
        self.sampling = TargetSampling(cfg.steps, cfg.guidance_scale, cfg.seed, cfg.eta, cfg.chunk)
        self.offsets_deg = angle_pairs("system.prompt_views", cfg.prompt_views)
        target_poses(cfg.poses, cfg.azimuths, cfg.elevations, 1.0)  # refuses before anything is loaded

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        models = self._models()
        pose = Pose(batch["elevation"], batch["azimuth"], batch["camera_distances"])
        distance = float(pose.distance[0])
        targets = target_poses(self.cfg.poses, self.cfg.azimuths, self.cfg.elevations, distance, self.device)
        refiner = models.refiner
        source = as_model_sees(batch["rgba"][0].float(), refiner.settings.image_size, refiner.channels)
        prompting = self._prompting(models)
        with models.sampling():
            seen = base_stage(
                models.load_base,
                source,
                pose,
                targets,
                self.sampling,
                prompting,
                self.cfg.coarse_target,
                console_bars,
            )
        with models.visit():
            views = refiner_stage(models.refiner, seen, targets, self.sampling, console_bars)
        self._save(views, self.cfg.fovy_deg or models.refiner.settings.fovy_deg)

    def _models(self) -> ModelPair:
        threestudio.info(f"Loading Zero-1-to-3 weights: {self.choices[1].weights}")
        residence = Residence(self.device, dtype_of(self.cfg.precision, self.device), spare_device=self.cfg.vram_O)
        models = ModelPair(*self.choices, residence)
        if models.refiner.settings.notice:
            threestudio.info(models.refiner.settings.notice)
        return models

    def _prompting(self, models: ModelPair) -> Prompting:
        sampling = Sampling(self.cfg.prompt_steps, self.cfg.prompt_scale, self.cfg.prompt_seed)
        fingerprint = models.base_fingerprint() if self.offsets_deg else ""
        return Prompting(self.offsets_deg, sampling, ViewCache(self.cfg.cache_dir), fingerprint)

    def _save(self, views: NovelViews, fovy_deg: float) -> None:
        files = self._save_pictures("views", views.images)
        if views.base.coarse is not None:
            self._save_pictures("coarse", views.base.coarse)
        self.save_image("input.png", as_bytes(views.base.source[0]))
        views.base.prompts.save(self.get_save_path("prompt-views"))
        self.save_json("cameras.json", camera_list(views, files, fovy_deg))
        self.save_image("grid.png", sheet(labelled_rows(views)))
        if len(files) > 1:
            self.save_img_sequence("turntable", "views", r"(\d+)\.png", save_format="mp4", fps=self.cfg.fps)
        threestudio.info(f"{len(files)} novel views, and all of them at a glance: {self.get_save_path('grid.png')}")

    def _save_pictures(self, folder: str, images: Float[Tensor, "view channel h w"]) -> list[str]:
        """Paths below the save folder."""
        files = [f"{folder}/{index:03d}.png" for index in range(len(images))]
        for file, image in zip(files, images, strict=True):
            self.save_image(file, as_bytes(image))
        return files
