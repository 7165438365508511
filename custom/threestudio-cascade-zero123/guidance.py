"""Score distillation with the Refiner ("cascade-zero123-guidance"), under this runtime or upstream threestudio's.

    once:        Base samples the nearby views of the source picture (Eq. 6-7; cached on disk)
    every step:  z = encode(rendering);  x_t = sqrt(a) z + sqrt(1 - a) eps
                 eps_hat = Refiner(x_t, t, source + nearby views as seen from this camera)    (Eq. 8-11)
                 gradient on z: w(t) (eps_hat - eps), not through the U-Net                   (see sds.py)

Renderings are [view h w 3] in [0, 1] on white. A model that sees opacity is given the rendering's; where the host hands
none over, it is estimated from the white. Timesteps and noise depend on (seed, step) alone, so that a resumed run
repeats an uninterrupted one. With `prompt_views: []` this is plain Zero-1-to-3.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

import threestudio
from threestudio.utils.base import BaseObject
from threestudio.utils.misc import C, cleanup, get_rank

from .cascade.cache import ViewCache
from .cascade.context import Cascade, joined
from .cascade.prompt_views import NEARBY_DEG, PromptViews, Sampling, angle_pairs, prompt_views
from .cascade.source import as_model_sees, object_ratio, read_rgba
from .errors import UserError
from .model_pair import ModelPair, Residence, chosen
from .ranges import one_of, within
from .sds import WEIGHTINGS, loss_with_gradient, sds_gradient
from .seeding import LARGEST_SEED, draw_generator
from .step_pictures import pictures_of_step
from .zero123.encoding import ENCODER_GRADIENTS, Encoding
from .zero123.model import Context
from .zero123.pose import Pose
from .zero123.precision import dtype_of
from .zero123.sampler import MOST_STEPS, SCALES, guided_output, noise_like_latents, predict_in_one_step, x0_and_epsilon
from .zero123.white import difference_from_white

ONE_STEP_BATCH = 32  # network passes at once
RATIO_WORTH_SAYING = 0.05  # difference of the object's size from the usual one


@threestudio.register("cascade-zero123-guidance")
class CascadeZero123Guidance(BaseObject):
    @dataclass
    class Config(BaseObject.Config):
        # {weights, config, pose_token} of load_zero123 (zero123/weights.py). Refiner defaults to Base.
        base: dict = field(default_factory=dict)
        refiner: dict = field(default_factory=dict)
        # Upstream's names of base.weights and, for a checkpoint, base.config.
        pretrained_model_name_or_path: str = ""
        pretrained_config: str = ""

        # How the models are kept: zero123/precision.py, model_pair.py.
        precision: str = one_of("fp32", "fp16", "bf16", "auto")
        half_precision_weights: bool = False  # upstream's name of fp16, on CUDA; another `precision` than fp32 wins
        vram_O: bool = True  # only what a step runs stays on the device
        channels_last: bool = False  # memory format of the convolutions
        compile: bool = False  # torch.compile; the first steps take minutes
        encoder_gradient: str = one_of(*ENCODER_GRADIENTS)  # zero123/encoding.py

        cond_image_path: str = ""  # read unless the system hands the prepared picture over
        cond_elevation_deg: float = within(0.0, -90, 90, "degrees")
        cond_azimuth_deg: float = within(0.0, -720, 720, "degrees")
        cond_camera_distance: float = within(1.2, 0.01, 1000, "world units")

        # [azimuth, elevation] in degrees from the source; [] is the plain Zero-1-to-3 baseline.
        prompt_views: list = within([list(offset) for offset in NEARBY_DEG], -720, 720, "degrees")
        prompt_steps: int = within(25, 1, MOST_STEPS, "of DDIM")
        prompt_scale: float = within(3.0, *SCALES)
        prompt_seed: int = within(0, 0, LARGEST_SEED)
        cache_dir: str | None = "outputs/.cache/prompt-views"  # null keeps nothing

        guidance_scale: float = within(3.0, *SCALES)  # 1 is purely conditional and takes half the network passes
        weighting: str = one_of(*WEIGHTINGS)  # sds.py
        # Share of all timesteps; numbers or [start_step, start, end, end_step].
        min_step_percent: Any = within(0.02, 0, 1, schedule=True)
        max_step_percent: Any = within(0.98, 0, 1, schedule=True)
        grad_clip: Any = within(None, 0, 1e9, schedule=True)  # largest entry of the latents' gradient
        seed: int = within(0, 0, LARGEST_SEED)
        max_items_eval: int = within(4, -1, 10_000)  # views saved with guidance_eval; -1 is all

    cfg: Config

    def configure(self) -> None:
        self.offsets_deg = angle_pairs("guidance.prompt_views", self.cfg.prompt_views)
        self.models = self._models()
        self.refiner = self.models.refiner
        if self.refiner.settings.notice:
            threestudio.info(self.refiner.settings.notice)
        self.encoding = Encoding(self.refiner, self.cfg.encoder_gradient)
        self.scheduler = self.refiner.scheduler()
        self.alphas_bar = self.scheduler.alphas_cumprod.to(self.device)
        self.source_pose = self._pose(
            self.cfg.cond_elevation_deg, self.cfg.cond_azimuth_deg, self.cfg.cond_camera_distance
        )
        self.told_of_estimate = False
        self.prompts: PromptViews | None = None
        self.cascade: Cascade | None = None
        self.update_step(0, 0)

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        self.step = global_step
        timesteps = len(self.alphas_bar)
        self.min_step = int(timesteps * C(self.cfg.min_step_percent, epoch, global_step))
        self.max_step = min(int(timesteps * C(self.cfg.max_step_percent, epoch, global_step)), timesteps - 1)
        self.grad_clip_val = None if self.cfg.grad_clip is None else C(self.cfg.grad_clip, epoch, global_step)

    def set_source(self, rgba: Float[Tensor, "h w 4"]) -> None:
        """The prepared picture (centred, straight alpha, in [0, 1]); makes the prompt views, or finds them cached."""
        refiner = self.refiner
        source = as_model_sees(rgba.float().to(self.device), refiner.settings.image_size, refiner.channels)
        with self._own_precision(), self.models.sampling():
            self.prompts = self._prompt_views(source)
            cleanup()
            images = torch.cat([source, self.prompts.images])
            self.encoding.fit(images)
            self.cascade = Cascade.of(self.refiner, images, joined(self.source_pose, self.prompts.poses))
        self.source = source

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
            poses = Pose(elevation[views], azimuth[views], camera_distances[views])
            with self._own_precision(), self.models.visit("decoder"):
                result["eval"] = pictures_of_step(
                    self.refiner, noisy[views], output[views], timestep[views], context, poses, self.cfg.guidance_scale
                )
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
        """Source and prompt views as tokens for these cameras."""
        if self.cascade is None:
            self.set_source(self._read_source())
        assert self.cascade is not None
        targets = Pose(*(value.to(self.device) for value in (elevation_deg, azimuth_deg, distance)))
        with torch.no_grad():
            return self.cascade.context(self.refiner, targets)

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
        views = max(1, ONE_STEP_BATCH // noises)
        cameras = zip(elevation.split(views), azimuth.split(views), camera_distances.split(views), strict=True)
        noise = noise_like_latents(self.refiner, noises, self.cfg.seed, self.device)
        images = []
        with self._own_precision():
            for chunk in cameras:
                context = self.context(*(value.repeat_interleave(noises) for value in chunk))
                latents = predict_in_one_step(self.refiner, context, noise.repeat(len(chunk[0]), 1, 1, 1))
                with self.models.visit("decoder"):
                    images.append(self.refiner.decode(latents.unflatten(0, (-1, noises)).mean(1)))
        return torch.cat(images).permute(0, 2, 3, 1)

    def _prompt_views(self, source: Float[Tensor, "1 channel h w"]) -> PromptViews:
        offsets = self.offsets_deg
        sampling = Sampling(self.cfg.prompt_steps, self.cfg.prompt_scale, self.cfg.prompt_seed)
        fingerprint = self.models.base_fingerprint() if offsets else ""
        cache = ViewCache(self.cfg.cache_dir)
        bar = tqdm(total=self.cfg.prompt_steps, desc="Self-prompting", unit="step", leave=False, disable=None)
        with bar:
            return prompt_views(
                self.models.load_base,
                fingerprint,
                source,
                self.source_pose,
                offsets,
                sampling,
                cache,
                lambda *_: bar.update(),
            )

    def _models(self) -> ModelPair:
        cfg = self.cfg
        base, refiner = chosen(cfg.base, cfg.refiner, cfg.pretrained_model_name_or_path, cfg.pretrained_config)
        dtype = dtype_of(cfg.precision, self.device)
        if cfg.half_precision_weights and cfg.precision == "fp32" and self.device.type == "cuda":
            dtype = torch.float16
        name = str(dtype).removeprefix("torch.")
        threestudio.info(f"Loading Zero-1-to-3 weights, to compute in {name}: {refiner.weights}")
        spare = cfg.vram_O and self.device.type != "cpu"
        return ModelPair(base, refiner, Residence(self.device, dtype, cfg.channels_last, cfg.compile, spare))

    def _own_precision(self) -> torch.autocast:
        """The host's mixed precision ends here: the networks compute in the precision of their weights."""
        return torch.autocast(self.device.type, enabled=False)

    def _pose(self, elevation_deg: float, azimuth_deg: float, distance: float) -> Pose:
        return Pose(*(torch.tensor([value], device=self.device) for value in (elevation_deg, azimuth_deg, distance)))

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
