"""Image to 3D ("zero123-system"): fit a field to the picture and to what a view-conditioned diffusion model expects.

    warm start   the field is fitted to `warm_start_views` views that the guidance predicts in one step
    SDS          random cameras; the guidance's gradient on their renderings, those views too while they have weight

and in both the picture itself, from its own camera. The stage and every draw depend on (seed, step) alone. Config keys
are upstream's; what is ours is marked. Loss weights may be numbers or schedules [start_step, start, end, end_step].
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import threestudio
from threestudio.data.image import SingleImageDataModule
from threestudio.errors import UserError, nearest_name
from threestudio.mesh.surface_stage import SurfaceConfig
from threestudio.systems import losses
from threestudio.systems.base import BaseLift3DSystem
from threestudio.systems.refinement import refined_surface
from threestudio.systems.run_pictures import carve, hand_picture_over, save_overview, source_of_run
from threestudio.systems.warm_start import WarmStartViews
from threestudio.utils.config import config_to_primitive
from threestudio.utils.misc import get_seed, step_generator
from threestudio.utils.ranges import one_of, within
from threestudio.utils.schedules import C_max

WARM_START, SDS = "warm start", "SDS"
LOSSES = (
    *("sds", "rgb", "mask", "depth", "depth_rel", "normal", "normal_smooth", "3d_normal_smooth", "orient"),
    *("sparsity", "opaque", "distortion", "warm_rgb", "warm_mask"),
)
# What a loss is of: a key of the renderer, a key of the data.
OF_RENDERING = {
    "normal": "return_comp_normal",
    "normal_smooth": "return_comp_normal",
    "3d_normal_smooth": "return_normal_perturb",
}
OF_FILES = {"depth": "requires_depth", "depth_rel": "requires_depth", "normal": "requires_normal"}
NORMAL_LOSSES = ("normal", "normal_smooth", "3d_normal_smooth", "orient")

Losses = dict[str, Tensor]


@dataclass
class Frequencies:
    """In steps."""

    ref_or_zero123: str = one_of("accumulate", "alternate")  # both in every step, or in turn
    n_ref: int = within(2, 1, 10**9, "steps")  # when alternating: every n-th step is the picture's
    ref_only_steps: int = within(0, 0, 10**9, "steps")  # at first only the picture
    guidance_eval: int = within(0, 0, 10**9, "steps")  # save what the guidance sees; 0 is never
    normal: int = within(1, 1, 10**9, "steps")  # ours: normals, and so their losses, only in every n-th; they cost


@threestudio.register("zero123-system")
class Zero123System(BaseLift3DSystem):
    """The losses of image to 3D: of picture, guidance and warm start, and what keeps the field smooth."""

    @dataclass
    class Config(BaseLift3DSystem.Config):
        freq: Frequencies = field(default_factory=Frequencies)
        refinement: bool = False  # the second stage, on the surface, after the field: mesh/surface_stage.py
        ambient_ratio_min: float = within(0.5, 0, 1)
        # Ours.
        warm_start_views: int = within(0, 0, 10_000)  # 0 is off
        warm_start_steps: int = within(0, 0, 10**9)
        warm_start_batch: int = within(4, 1, 10_000, "views")  # of these views a step
        warm_start_elevations_deg: list[float] = within([-10.0, 20.0, 50.0], -90, 90, "degrees")  # one ring each
        surface: SurfaceConfig = field(default_factory=SurfaceConfig)  # of the refinement

    cfg: Config

    def configure(self) -> None:
        super().configure()
        for key in self.cfg.loss:
            if key.removeprefix("lambda_") not in LOSSES:
                hint = nearest_name(key, [f"lambda_{name}" for name in LOSSES])
                raise UserError(f"system.loss: unknown key {key}; {hint}")
        for name, key in OF_RENDERING.items():
            if self.is_ever_weighed(name) and not self.cfg.renderer.get(key):
                raise UserError(f"system.loss.lambda_{name} needs system.renderer.{key}=true")
        if self.cfg.warm_start_views > 0 and not self.cfg.warm_start_elevations_deg:
            raise UserError("system.warm_start_elevations_deg: empty; give an elevation, or warm_start_views=0")
        self.warm_start: WarmStartViews | None = None

    @property
    def stage(self) -> str:
        """Of this step: warm start, or SDS."""
        warm = self.cfg.warm_start_views > 0 and self.true_global_step < self.cfg.warm_start_steps
        return WARM_START if warm else SDS

    @property
    def keeps_warm_views(self) -> bool:
        """Beside SDS, for as long as they have any weight."""
        weight = self.weight("warm_rgb") + self.weight("warm_mask")
        return self.cfg.warm_start_views > 0 and self.cfg.warm_start_steps > 0 and weight > 0

    @property
    def datamodule(self) -> SingleImageDataModule:
        """Lightning's trainer has it, though its type does not say so."""
        trainer: Any = self.trainer
        return trainer.datamodule

    def on_fit_start(self) -> None:
        super().on_fit_start()
        data = self.datamodule.cfg
        for name, key in OF_FILES.items():
            if self.is_ever_weighed(name) and not data.get(key):
                raise UserError(f"system.loss.lambda_{name} needs data.{key}=true")
        if not data.use_random_camera:
            raise UserError(f"data.use_random_camera: false; {self.cfg.guidance_type} needs random cameras")
        self.guidance = threestudio.find(self.cfg.guidance_type)(self.cfg.guidance)
        hand_picture_over(self.guidance, self.datamodule, self)
        if getattr(self.geometry, "hull", None) is not None:
            carve(self.geometry.hull, self.datamodule)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """The weighted sum of this step's losses, each of which is logged with and without its weight."""
        total = torch.zeros((), device=self.device)
        for part, terms in self.parts(batch):
            for name, value in terms.items():
                weighted = value * self.weight(name)
                total = total + weighted
                self.log(f"train/loss_{part}_{name}", value)
                self.log(f"train/loss_{part}_{name}_w", weighted)
        for name, value in self.cfg.loss.items():
            self.log(f"train_params/{name}", self.C(value))
        self.log("train/loss", total, prog_bar=True)
        return {"loss": total}

    def parts(self, batch: dict[str, Any]) -> Iterator[tuple[str, Losses]]:
        """This step's renderings, by upstream's names, and their losses, not yet weighted."""
        step, freq = self.true_global_step, self.cfg.freq
        only_picture, alternate = step < freq.ref_only_steps, freq.ref_or_zero123 == "alternate"
        pictures = {"ref": batch} | ({"further": batch["further"]} if "further" in batch else {})
        if self.stage == WARM_START:
            yield "warm", self.warm_start_losses(batch)
            yield from ((name, self.picture_losses(one)) for name, one in pictures.items())
            return
        picture = only_picture or not alternate or step % freq.n_ref == 0
        if not only_picture and not (alternate and picture):
            yield "zero123", self.sds_losses(batch["random_camera"])
            if self.keeps_warm_views:
                yield "warm", self.warm_start_losses(batch)
        if picture:
            yield from ((name, self.picture_losses(one)) for name, one in pictures.items())

    def picture_losses(self, batch: dict[str, Any]) -> Losses:
        out = self.render(batch, shading="diffuse", ambient_ratio=1.0)
        mask = batch["mask"]
        terms = {
            "rgb": losses.masked_color_loss(out["comp_rgb"], out["comp_rgb_bg"], batch["rgb"], mask),
            "mask": torch.nn.functional.mse_loss(out["opacity"], mask.float()),
        }
        inside = mask[..., 0]
        if self.weight("depth") > 0:
            terms["depth"] = losses.scaled_depth_loss(out["depth"][inside][:, 0], batch["ref_depth"][inside][:, 0])
        if self.weight("depth_rel") > 0:
            terms["depth_rel"] = losses.depth_order_loss(out["depth"][inside][:, 0], batch["ref_depth"][inside][:, 0])
        if self.weight("normal") > 0 and "comp_normal" in out:
            terms["normal"] = losses.normal_loss(out["comp_normal"][inside], batch["ref_normal"][inside])
        return terms | self.regularisers(out)

    def sds_losses(self, batch: dict[str, Any]) -> Losses:
        """The guidance's, on renderings from random cameras."""
        out = self.render(batch, ambient_ratio=self.draw_ambient_ratio())
        every = self.cfg.freq.guidance_eval
        evaluate = every > 0 and self.true_global_step % every == 0
        seen = {"opacity": out["opacity"], "rgb_as_latents": False, "guidance_eval": evaluate}
        guidance = self.guidance(out["comp_rgb"], **batch, **seen)
        if evaluate:
            pictures = guidance["eval"]
            self.guidance_evaluation_save(out["comp_rgb"].detach()[: pictures["bs"]], pictures)
        return {"sds": guidance["loss_sds"]} | self.regularisers(out) | self.sparsity(out)

    def warm_start_losses(self, batch: dict[str, Any]) -> Losses:
        """Against the views that were predicted in one step."""
        if self.warm_start is None:
            threestudio.info(
                f"Warm start: fitting {self.cfg.warm_start_views} views that the model predicts in one step"
            )
            self.warm_start = WarmStartViews.predict(
                self.guidance, batch, self.cfg.warm_start_views, self.cfg.warm_start_elevations_deg
            )
        size = batch["random_camera"]["height"], batch["random_camera"]["width"]
        views = self.warm_start.batch(self.true_global_step, self.cfg.warm_start_batch, *size)
        out = self.render(views, shading="diffuse", ambient_ratio=1.0)
        terms = {"warm_rgb": torch.nn.functional.mse_loss(out["comp_rgb"], views["rgb"])}
        if views["opacity"] is not None:
            terms["warm_mask"] = torch.nn.functional.mse_loss(out["opacity"], views["opacity"])
        return terms | self.regularisers(out) | self.sparsity(out)

    def regularisers(self, out: dict[str, Tensor]) -> Losses:
        """Of any rendering; those on normals where there are some."""
        terms = {}
        if self.weight("opaque") > 0:
            terms["opaque"] = losses.opacity_entropy_loss(out["opacity"])
        if self.weight("distortion") > 0:
            samples = (out["weights"], out["t_points"], out["t_intervals"], out["ray_indices"])
            terms["distortion"] = losses.distortion_loss(*samples, out["opacity"].numel())
        if self.weight("orient") > 0 and "normal" in out:
            terms["orient"] = losses.orientation_loss(out["weights"], out["normal"], out["t_dirs"], out["opacity"])
        if self.weight("normal_smooth") > 0 and "comp_normal" in out:
            terms["normal_smooth"] = losses.smoothness_loss(out["comp_normal"])
        if self.weight("3d_normal_smooth") > 0 and "normal_perturb" in out:
            terms["3d_normal_smooth"] = (out["normal"] - out["normal_perturb"]).abs().mean()
        return terms

    def sparsity(self, out: dict[str, Tensor]) -> Losses:
        return {"sparsity": losses.sparsity_loss(out["opacity"])} if self.weight("sparsity") > 0 else {}

    def render(self, batch: dict[str, Any], **shading: Any) -> dict[str, Tensor]:
        """On the background; with normals in every `freq.normal`-th step, if a loss or the material wants them."""
        wanted = any(self.weight(name) > 0 for name in NORMAL_LOSSES)
        due = wanted and self.true_global_step % self.cfg.freq.normal == 0
        normal = due or self.material.needs_normal(**shading)
        return self(batch | shading | {"bg_color": None, "output_normal": normal})

    def weight(self, name: str) -> float:
        """Of a loss, by its schedule, in this step."""
        return self.C(self.cfg.loss.get(f"lambda_{name}", 0.0))

    def is_ever_weighed(self, name: str) -> bool:
        """Whether a loss has any weight in any step."""
        return C_max(self.cfg.loss.get(f"lambda_{name}", 0.0)) > 0

    def draw_ambient_ratio(self) -> float:
        """Of this step's light, which depends on seed and step alone."""
        generator = step_generator(get_seed(), "ambient-ratio", self.true_global_step)
        low = self.cfg.ambient_ratio_min
        return low + (1 - low) * float(torch.rand((), generator=generator))

    def on_predict_start(self) -> None:
        super().on_predict_start()
        self.exporter.reference = source_of_run(self.get_save_dir(), self.datamodule)
        if self.cfg.refinement:
            settings = SurfaceConfig(**config_to_primitive(self.cfg.surface))
            self.exporter.refined = refined_surface(self, self.exporter.reference, settings)

    def on_predict_epoch_end(self) -> None:
        super().on_predict_epoch_end()
        save_overview(self.get_save_dir(), self.true_global_step, self.exporter.reference, self.datamodule.cfg)
