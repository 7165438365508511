"""What every system shares: building its parts, schedules, checkpoints, and what is looked at besides training.

A system states its losses in `training_step`; optimisers, the hooks that tell all parts which step it is, validation
pictures, the turntable and the export are here, once.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerConfig, OptimizerLRSchedulerConfig

import threestudio
from threestudio.errors import UserError
from threestudio.systems.optimization import parse_optimizer, parse_scheduler, refuse_wrong_numbers
from threestudio.utils.base import Updateable, update_end_if_possible, update_if_possible
from threestudio.utils.config import parse_structured
from threestudio.utils.misc import C, cleanup, find_last_path, load_module_weights
from threestudio.utils.ranges import within
from threestudio.utils.saving import SaverMixin


class BaseSystem(pl.LightningModule, Updateable, SaverMixin):
    """Any optimisation; subclasses override `configure`, `training_step` and `validation_step`."""

    @dataclass
    class Config:
        loggers: dict = field(default_factory=dict)
        loss: dict = within({}, 0, 1e8, schedule=True)  # weights: numbers or schedules
        optimizer: dict = field(default_factory=dict)
        scheduler: dict | None = None
        weights: str | None = None  # a checkpoint to start from
        weights_ignore_modules: list[str] | None = None
        cleanup_after_validation_step: bool = False
        cleanup_after_test_step: bool = False

    cfg: Config

    def __init__(self, cfg: Any, resumed: bool = False) -> None:
        super().__init__()
        self.cfg = parse_structured(self.Config, cfg)
        self._resumed = resumed
        self._resumed_eval: tuple[int, int] | None = None
        wandb = self.cfg.loggers.get("wandb") or {}
        if not isinstance(wandb, Mapping) or wandb.get("enable", False):
            raise UserError(
                "system.loggers.wandb: not supported here; set enable: false (TensorBoard and CSV are kept)"
            )
        refuse_wrong_numbers(self.cfg.optimizer, self.cfg.scheduler)
        self.configure()
        if self.cfg.weights is not None:
            self.load_weights(self.cfg.weights, self.cfg.weights_ignore_modules)
        self.post_configure()

    def configure(self) -> None:
        """To override: builds the parts."""

    def post_configure(self) -> None:
        """To override: what needs the weights."""

    def load_weights(self, weights: str, ignore_modules: Sequence[str] | None = None) -> None:
        """Those of another run's checkpoint, but for the modules named; UserError where none fits."""
        path = find_last_path(weights)
        ignored = list(ignore_modules) if ignore_modules is not None else None
        state, epoch, global_step = load_module_weights(path, ignore_modules=ignored)
        if not state.keys() & self.state_dict().keys():
            raise UserError(f"{path}: has none of this system's weights; check system.weights")
        try:
            self.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise UserError(f"{path}: its weights do not fit: {' '.join(str(error).split()):.300}") from None
        self.do_update_step(epoch, global_step, on_load_weights=True)

    @property
    def resumed(self) -> bool:
        """Whether this run goes on from a checkpoint; known before Lightning has restored the step."""
        return self._resumed

    def set_resume_status(self, current_epoch: int, global_step: int) -> None:
        """The step of the checkpoint under test, which Lightning restores only for training."""
        self._resumed_eval = (current_epoch, global_step)

    @property
    def true_current_epoch(self) -> int:
        """The checkpoint's under test, else Lightning's."""
        return self.current_epoch if self._resumed_eval is None else self._resumed_eval[0]

    @property
    def true_global_step(self) -> int:
        """The checkpoint's under test, else Lightning's."""
        return self.global_step if self._resumed_eval is None else self._resumed_eval[1]

    def C(self, value: Any) -> float:
        """A schedule's value now."""
        return C(value, self.true_current_epoch, self.true_global_step)

    def configure_optimizers(self) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        optimizer = parse_optimizer(self.cfg.optimizer, self)
        if self.cfg.scheduler is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": parse_scheduler(self.cfg.scheduler, optimizer)}

    def preprocess_data(self, batch: Any, stage: str) -> None:
        """To override: changes a batch in place before its step; `stage` is train, validation, test or predict."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self._begin_step(batch, "train", self.trainer.train_dataloader)

    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._begin_step(batch, "validation", self.trainer.val_dataloaders)

    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._begin_step(batch, "test", self.trainer.test_dataloaders)

    def on_predict_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._begin_step(batch, "predict", self.trainer.predict_dataloaders)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._end_step(self.trainer.train_dataloader)

    def on_validation_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._end_step(self.trainer.val_dataloaders, self.cfg.cleanup_after_validation_step)

    def on_test_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._end_step(self.trainer.test_dataloaders, self.cfg.cleanup_after_test_step)

    def on_predict_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._end_step(self.trainer.predict_dataloaders, self.cfg.cleanup_after_test_step)

    def _begin_step(self, batch: Any, stage: str, loader: Any) -> None:
        self.preprocess_data(batch, stage)
        update_if_possible(loader.dataset, self.true_current_epoch, self.true_global_step)
        self.do_update_step(self.true_current_epoch, self.true_global_step)

    def _end_step(self, loader: Any, clean: bool = False) -> None:
        update_end_if_possible(loader.dataset, self.true_current_epoch, self.true_global_step)
        self.do_update_step_end(self.true_current_epoch, self.true_global_step)
        if clean:
            cleanup()


class BaseLift3DSystem(BaseSystem):
    """A field, rendered: geometry, material, background and renderer by name; `forward` renders a batch."""

    @dataclass
    class Config(BaseSystem.Config):
        geometry_type: str = ""
        geometry: dict = field(default_factory=dict)
        # Upstream's conversion between kinds of geometry; accepted while unset.
        geometry_convert_from: str | None = None
        geometry_convert_inherit_texture: bool = False
        geometry_convert_override: dict = field(default_factory=dict)

        material_type: str = ""
        material: dict = field(default_factory=dict)

        background_type: str = ""
        background: dict = field(default_factory=dict)

        renderer_type: str = ""
        renderer: dict = field(default_factory=dict)

        guidance_type: str = ""
        guidance: dict = field(default_factory=dict)

        prompt_processor_type: str = ""
        prompt_processor: dict = field(default_factory=dict)

        exporter_type: str = "mesh-exporter"
        exporter: dict = field(default_factory=dict)

    cfg: Config

    def configure(self) -> None:
        if self.cfg.geometry_convert_from:
            raise UserError(
                "system.geometry_convert_from: not supported; train from the picture, or set system.weights"
            )
        self.check_blocks("exporter", "guidance", "prompt_processor")
        self.geometry = threestudio.find(self.cfg.geometry_type)(self.cfg.geometry)
        self.material = threestudio.find(self.cfg.material_type)(self.cfg.material)
        self.background = threestudio.find(self.cfg.background_type)(self.cfg.background)
        parts = {"geometry": self.geometry, "material": self.material, "background": self.background}
        self.renderer = threestudio.find(self.cfg.renderer_type)(self.cfg.renderer, **parts)

    def check_blocks(self, *names: str) -> None:
        """The config of parts that are built later, or not in this run: what is wrong there is said before any work."""
        for name in names:
            component = getattr(self.cfg, f"{name}_type")
            fields = getattr(threestudio.find(component), "Config", None) if component else None
            if fields is not None:
                parse_structured(fields, getattr(self.cfg, name))

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        return self.renderer(**batch)

    def on_fit_start(self) -> None:
        if self._save_dir is not None:
            threestudio.info(f"Validation results are saved to {self._save_dir}")

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self._save_views(batch, batch_idx, "val")

    def on_validation_epoch_end(self) -> None:
        self._collect_views("val")

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self._save_views(batch, batch_idx, "test")

    def on_test_epoch_end(self) -> None:
        self._collect_views("test")

    def on_predict_start(self) -> None:
        self.exporter = threestudio.find(self.cfg.exporter_type)(
            self.cfg.exporter, geometry=self.geometry, material=self.material, background=self.background
        )

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        if self.exporter.cfg.save_video:
            self.test_step(batch, batch_idx)

    def on_predict_epoch_end(self) -> None:
        if self.exporter.cfg.save_video:
            self.on_test_epoch_end()
        for output in self.exporter():
            save = getattr(self, f"save_{output.save_type}")
            save(f"it{self.true_global_step}-export/{output.save_name}", **output.params)

    def save_obj(self, filename: str, **params: Any) -> list[Path]:
        """With its material and texture, where it has them."""
        from threestudio.mesh.files import write_obj

        return write_obj(self.get_save_path(filename), **params)

    def save_glb(self, filename: str, **params: Any) -> list[Path]:
        """To <save_name>.glb in the export's folder."""
        from threestudio.mesh.files import write_glb

        return write_glb(self.get_save_path(filename), **params)

    def save_ply(self, filename: str, **params: Any) -> list[Path]:
        """To <save_name>.ply in the export's folder."""
        from threestudio.mesh.files import write_ply

        return write_ply(self.get_save_path(filename), **params)

    def save_stl(self, filename: str, **params: Any) -> list[Path]:
        """To <save_name>.stl in the export's folder."""
        from threestudio.mesh.files import write_stl

        return write_stl(self.get_save_path(filename), **params)

    def guidance_evaluation_save(self, comp_rgb: Any, guidance_eval_out: dict[str, Any]) -> None:
        """What the guidance saw: the rendering, then noisy, one-step and many-step images, a row each view."""
        size = comp_rgb.shape[1:3]
        keys = ("imgs_noisy", "imgs_1step", "imgs_1orig", "imgs_final")
        columns = [comp_rgb, *(_resized(guidance_eval_out[key], size) for key in keys if key in guidance_eval_out)]
        rows = [[{"type": "rgb", "img": view} for view in views] for views in zip(*columns, strict=True)]
        self.save_image_grid(f"it{self.true_global_step}-train.png", rows, texts=guidance_eval_out.get("texts"))

    def _save_views(self, batch: dict[str, Any], batch_idx: int, stage: str) -> None:
        out = self(batch)
        views = len(out["comp_rgb"])
        for view in range(views):
            index = int(batch["index"][view]) if "index" in batch else batch_idx * views + view
            self.save_image_grid(self._frames(stage) + f"/{index}.png", _panels(batch, out, view))

    def _collect_views(self, stage: str) -> None:
        """One view stays a picture; more become a video."""
        frames = Path(self.get_save_dir()) / self._frames(stage)
        if not self.trainer.is_global_zero or not frames.is_dir():
            return
        pictures = list(frames.glob("*.png"))
        if len(pictures) == 1:
            pictures[0].replace(frames.with_suffix(".png"))
        else:
            self.save_img_sequence(frames.name, frames.name, r"(\d+)\.png", save_format="mp4", fps=30)
        shutil.rmtree(frames)

    def _frames(self, stage: str) -> str:
        return f"it{self.true_global_step}-{stage}"


def _panels(batch: dict[str, Any], out: dict[str, Any], view: int) -> list[dict[str, Any]]:
    """The truth where there is one, colours, normals and depth where there are some, opacity."""
    rgb = [batch["rgb"][view]] if "rgb" in batch else []
    rgb += [out[key][view] for key in ("comp_rgb", "comp_normal") if key in out]
    panels: list[dict[str, Any]] = [{"type": "rgb", "img": img} for img in rgb]
    if "depth" in out:
        panels.append({"type": "grayscale", "img": out["depth"][view]})
    opacity = {"cmap": None, "data_range": (0, 1)}
    return [*panels, {"type": "grayscale", "img": out["opacity"][view], "kwargs": opacity}]


def _resized(images: Any, size: tuple[int, int]) -> Any:
    channels_first = images.movedim(-1, 1)
    return F.interpolate(channels_first, size, mode="bilinear", align_corners=False).movedim(1, -1)
