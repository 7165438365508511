"""Score distillation with the Refiner ("cascade-zero123-guidance"), under this runtime or upstream threestudio's.

    once:        the cascade adds its views to the source picture (Eq. 6-7; cached on disk; cascade/stages.py)
    every step:  z = encode(rendering);  x_t = sqrt(a) z + sqrt(1 - a) eps
                 eps_hat = Refiner(x_t, t, source + those views as seen from this camera)     (Eq. 8-11)
                 gradient on z: w(t) (eps_hat - eps), not through the U-Net                   (see sds.py)

Renderings are [view h w 3] in [0, 1] on white. A model that sees opacity is given the rendering's; where the host hands
none over, it is estimated from the white. Timesteps and noise depend on (seed, step) alone, so that a resumed run
repeats an uninterrupted one. A cascade of one model, or with `prompt_views: []`, is plain Zero-1-to-3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

import threestudio
from threestudio.utils.base import BaseObject
from threestudio.utils.misc import C, cleanup, get_rank

from .cascade.cache import ViewCache
from .cascade.context import EncodedViews
from .cascade.models import CascadeModels, Choice, Residence
from .cascade.settings import CascadeConfig, stages_of
from .cascade.source import FurtherPictures, given_views, object_ratio, read_rgba
from .cascade.stages import Cascade, console_bars
from .common.errors import UserError
from .common.ranges import one_of, within
from .common.seeding import LARGEST_SEED, draw_generator
from .novel_view.output import save_views
from .sds import WEIGHTINGS, loss_with_gradient, sds_gradient
from .step_pictures import pictures_of_step
from .views import Cameras, Views
from .zero123.encoding import ENCODER_GRADIENTS, Encoding
from .zero123.model import Context
from .zero123.precision import dtype_of
from .zero123.sampler import SCALES, guided_output, noise_like_latents, predict_in_one_step, x0_and_epsilon
from .zero123.white import difference_from_white

ONE_STEP_BATCH = 32  # network passes at once
RATIO_WORTH_SAYING = 0.05  # difference of the object's size from the usual one


@threestudio.register("cascade-zero123-guidance")
class CascadeZero123Guidance(BaseObject):
    """The guidance of either host: called as upstream calls its Zero123 guidance, with the whole cascade behind it."""

    @dataclass
    class Config(CascadeConfig, BaseObject.Config):
        # Upstream's names of the first model's weights and, for a checkpoint, config.
        pretrained_model_name_or_path: str = ""
        pretrained_config: str = ""

        # How the models are kept, besides `precision` and `vram_O`: cascade/models.py.
        half_precision_weights: bool = False  # upstream's name of fp16, on CUDA; another `precision` than fp32 wins
        channels_last: bool = False  # memory format of the convolutions
        compile: bool = False  # torch.compile; the first steps take minutes
        encoder_gradient: str = one_of(*ENCODER_GRADIENTS)  # zero123/encoding.py

        cond_image_path: str = ""  # read unless the system hands the prepared picture over
        cond_elevation_deg: float = within(0.0, -90, 90, "degrees")
        cond_azimuth_deg: float = within(0.0, -720, 720, "degrees")
        cond_camera_distance: float = within(1.2, 0.01, 1000, "world units")

        guidance_scale: float = within(3.0, *SCALES)  # 1 is purely conditional and takes half the network passes
        weighting: str = one_of(*WEIGHTINGS)  # sds.py
        # Share of all timesteps; numbers or [start_step, start, end, end_step].
        min_step_percent: Any = within(0.02, 0, 1, schedule=True)
        max_step_percent: Any = within(0.98, 0, 1, schedule=True)
        grad_clip: Any = within(None, 0, 1e9, schedule=True)  # largest entry of the latents' gradient
        seed: int = within(0, 0, LARGEST_SEED)
        max_items_eval: int = within(4, -1, 10_000)  # views saved with guidance_eval; -1 is all

    cfg: Config
    make_models: Callable[[Sequence[Choice], Residence], CascadeModels] = CascadeModels  # others in a study

    def configure(self) -> None:
        self.cascade = self._cascade()
        self.refiner = self.models.refiner
        if self.refiner.settings.notice:
            threestudio.info(self.refiner.settings.notice)
        self.encoding = Encoding(self.refiner, self.cfg.encoder_gradient)
        self.scheduler = self.refiner.scheduler()
        self.alphas_bar = self.scheduler.alphas_cumprod.to(self.device)
        cfg = self.cfg
        self.source_camera = Cameras.one(
            cfg.cond_elevation_deg, cfg.cond_azimuth_deg, cfg.cond_camera_distance, self.device
        )
        self.told_of_estimate = False
        self.shown: Views | None = None  # source, further pictures, and what the cascade added
        self.encoded: EncodedViews | None = None
        self.update_step(0, 0)

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        """Which step it is: schedules of noise and weight follow it."""
        self.step = global_step
        timesteps = len(self.alphas_bar)
        self.min_step = int(timesteps * C(self.cfg.min_step_percent, epoch, global_step))
        self.max_step = min(int(timesteps * C(self.cfg.max_step_percent, epoch, global_step)), timesteps - 1)
        self.grad_clip_val = None if self.cfg.grad_clip is None else C(self.cfg.grad_clip, epoch, global_step)

    def set_source(self, rgba: Float[Tensor, "h w 4"], further: FurtherPictures = ()) -> None:
        """The prepared picture (centred, straight alpha, in [0, 1]), and `further` ones of the object with azimuth and
        elevation in degrees, at its distance; adds the cascade's views, or finds them cached."""
        given = given_views(self.refiner, rgba, self.source_camera, further)
        self.pictures = len(given)
        with self._own_precision(), self.models.sampling():
            self.shown = self.cascade.shown(given, console_bars)
            cleanup()
            self.encoding.fit(self.shown.pictures)
            with torch.no_grad():
                self.encoded = EncodedViews.of(self.refiner, self.shown[None])

    @property
    def source(self) -> Float[Tensor, "1 c h w"]:
        """The picture as the models see it."""
        assert self.shown is not None
        return self.shown.pictures[:1]

    def save_shown(self, folder: str | Path) -> list[Path]:
        """What the Refiner is shown beside the source, one PNG a view, named by its camera."""
        assert self.shown is not None
        return save_views(self.shown, self.pictures, folder)

    def __call__(
        self,
        rgb: Float[Tensor, "view h w c"],
        elevation: Float[Tensor, "view"],
        azimuth: Float[Tensor, "view"],
        camera_distances: Float[Tensor, "view"],
        rgb_as_latents: bool = False,
        guidance_eval: bool = False,
        opacity: Float[Tensor, "view h w 1"] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Elevation and azimuth in degrees. `loss_sds` has the SDS gradient, summed over pixels, mean over views."""
        with self._own_precision():
            context = self.context(elevation, azimuth, camera_distances)
            latents = self.encode(rgb, opacity, rgb_as_latents)
            timestep, noise = self.draw(latents)
            noisy = self.scheduler.add_noise(latents.detach(), noise, timestep)
            with torch.no_grad():
                output = guided_output(self.refiner, noisy, timestep, context, self.cfg.guidance_scale)
        gradient = self.gradient(latents.detach(), noisy, noise, output, timestep)
        result = {
            "loss_sds": loss_with_gradient(latents, gradient),
            "grad_norm": gradient.norm(),
            "min_step": self.min_step,
            "max_step": self.max_step,
        }
        if guidance_eval:
            count = self.cfg.max_items_eval if self.cfg.max_items_eval >= 0 else len(noisy)
            views = slice(0, min(count, len(noisy)))
            cameras = Cameras(elevation, azimuth, camera_distances)[views]
            with self._own_precision(), self.models.visit("decoder"):
                step = noisy[views], output[views], timestep[views]
                result["eval"] = pictures_of_step(self.refiner, *step, context, cameras, self.cfg.guidance_scale)
        return result

    @property
    def sees_opacity(self) -> bool:
        """Whether the models see and predict the object's opacity beside its colours."""
        return self.refiner.channels == 4

    def encode(
        self,
        rgb: Float[Tensor, "view h w c"],
        opacity: Float[Tensor, "view h w 1"] | None = None,
        rgb_as_latents: bool = False,
    ) -> Float[Tensor, "view k lh lw"]:
        """The rendering's latents, differentiable."""
        images = rgb.permute(0, 3, 1, 2).float()
        if rgb_as_latents:
            return F.interpolate(images, self.refiner.latent_shape[1:], mode="bilinear", align_corners=False) * 2 - 1
        if self.sees_opacity:
            alpha = self.estimated_opacity(images) if opacity is None else opacity.permute(0, 3, 1, 2).float()
            images = torch.cat([images, alpha], dim=1)
        size = self.refiner.settings.image_size
        if images.shape[-2:] != (size, size):
            images = F.interpolate(images, (size, size), mode="bilinear", align_corners=False)
        return self.encoding(images)

    def estimated_opacity(self, images: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 1 h w"]:
        """For hosts that hand none over; without gradient, since the colours have it."""
        if not self.told_of_estimate:
            self.told_of_estimate = True
            threestudio.warn(
                "the host hands no opacity over; it is estimated: what is white in a rendering counts as background"
            )
        return difference_from_white(images.detach())

    def context(
        self,
        elevation_deg: Float[Tensor, "view"],
        azimuth_deg: Float[Tensor, "view"],
        distance: Float[Tensor, "view"],
    ) -> Context:
        """All that is shown, as tokens for these cameras."""
        if self.encoded is None:
            self.set_source(self._read_source())
        assert self.encoded is not None
        targets = Cameras(elevation_deg, azimuth_deg, distance).to(self.device)
        with torch.no_grad():
            return self.encoded.context(self.refiner, targets.reshape(1, -1))

    def draw(self, latents: Float[Tensor, "view c h w"]) -> tuple[Int[Tensor, "view"], Float[Tensor, "view c h w"]]:
        """This step's timesteps, uniform in [min_step, max_step], and noise."""
        generator = draw_generator(self.cfg.seed, "sds", self.step, get_rank())
        upper = max(self.max_step, self.min_step) + 1
        timestep = torch.randint(self.min_step, upper, (len(latents),), generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        return timestep.to(latents.device), noise.to(latents.device)

    def gradient(
        self,
        latents: Float[Tensor, "view c h w"],
        noisy: Float[Tensor, "view c h w"],
        noise: Float[Tensor, "view c h w"],
        output: Float[Tensor, "view c h w"],
        timestep: Int[Tensor, "view"],
    ) -> Float[Tensor, "view c h w"]:
        alpha_bar = self.alphas_bar[timestep]
        x0, epsilon = x0_and_epsilon(output, noisy, alpha_bar, self.scheduler.config.prediction_type)
        gradient = sds_gradient(latents, noise, x0, epsilon, alpha_bar, self.cfg.weighting)
        return gradient if self.grad_clip_val is None else gradient.clamp(-self.grad_clip_val, self.grad_clip_val)

    @torch.no_grad()
    def one_step_views(
        self,
        elevation: Float[Tensor, "view"],
        azimuth: Float[Tensor, "view"],
        camera_distances: Float[Tensor, "view"],
        noises: int = 4,
    ) -> Float[Tensor, "view h w channel"]:
        """What the Refiner expects to see from these cameras: its prediction at the highest noise, averaged.

        Colours on white and, of a model that sees it, the opacity.
        """
        cameras, chunk = Cameras(elevation, azimuth, camera_distances), max(1, ONE_STEP_BATCH // noises)
        noise = noise_like_latents(self.refiner, noises, self.cfg.seed, self.device)
        images = []
        with self._own_precision():
            for first in range(0, len(cameras), chunk):
                own = cameras[first : first + chunk]
                each = own.repeat_each(noises)
                context = self.context(each.elevation_deg, each.azimuth_deg, each.distance)
                latents = predict_in_one_step(self.refiner, context, noise.repeat(len(own), 1, 1, 1))
                with self.models.visit("decoder"):
                    images.append(self.refiner.decode(latents.unflatten(0, (-1, noises)).mean(1)))
        return torch.cat(images).permute(0, 2, 3, 1)

    def _cascade(self) -> Cascade:
        cfg = self.cfg
        choices, stages = stages_of(cfg, "guidance", cfg.pretrained_model_name_or_path, cfg.pretrained_config)
        dtype = dtype_of(cfg.precision, self.device)
        if cfg.half_precision_weights and cfg.precision == "fp32" and self.device.type == "cuda":
            dtype = torch.float16
        name = str(dtype).removeprefix("torch.")
        threestudio.info(f"Loading Zero-1-to-3 weights, to compute in {name}: {choices[-1].weights}")
        spare = cfg.vram_O and self.device.type != "cpu"
        self.models = self.make_models(choices, Residence(self.device, dtype, cfg.channels_last, cfg.compile, spare))
        return Cascade(stages, self.models, ViewCache(cfg.cache_dir))

    def _own_precision(self) -> torch.autocast:
        """The host's mixed precision ends here: the networks compute in the precision of their weights."""
        return torch.autocast(self.device.type, enabled=False)

    def _read_source(self) -> Float[Tensor, "h w 4"]:
        """For hosts that do not hand the picture over: the file as it is, which their losses see too.

        Reframed, the object would have one size for the guidance and another for the losses, which pull it apart.
        """
        if not self.cfg.cond_image_path:
            raise UserError("guidance.cond_image_path must be given where the system hands no picture over")
        rgba, usual = read_rgba(self.cfg.cond_image_path), self.refiner.settings.object_ratio
        if abs(object_ratio(rgba) - usual) >= RATIO_WORTH_SAYING:
            threestudio.info(
                f"{self.cfg.cond_image_path}: the object spans {object_ratio(rgba):.2f} of the picture, usual with "
                f"these weights is {usual}; taken as it is"
            )
        return rgba
