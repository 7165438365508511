"""Training of Base-0123 and Refiner-0123 (Sec. 3.4-3.5, Eq. 12-13).

Both are trained by the same step; they differ in where the context views come from. Base training shows true other
views of the object (any number, often none), so that one network learns from the start what a second token means: with
a single token the softmax over the context is constant and cross-attention's queries and keys never get a gradient.
Refiner training shows the views that Base samples (prompts.py), among them the coarse target at the target's own pose.
`base` is the moving average of `model` (Eq. 13) and is saved as Base; with `ema_decay` 1 it stays what it was at first.
A Refiner may have a moving average of its own weights beside that, which is then what is looked at and saved.
"""

import copy
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from omegaconf import OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

import threestudio
from threestudio.systems.base import BaseSystem
from threestudio.utils.config import parse_structured

from .. import versions
from ..cascade.stages import console_bars
from ..common.errors import UserError
from ..common.ranges import within
from ..common.seeding import LARGEST_SEED, draw_generator
from ..views import Views
from ..zero123.architecture import Architecture, build_model
from ..zero123.model import Zero123
from ..zero123.patch_autoencoder import PatchAutoencoder
from ..zero123.weights.diffusers_folder import save_cascade
from ..zero123.weights.loading import announce, load_zero123, save_zero123
from .conditions import context_of, drop_conditions
from .datamodule import RenderedViewsDataModule
from .ema import update_ema, warmed_up_decay
from .encoder_fit import fit_image_encoder
from .objective import draw_timesteps, loss_weights, prediction_target
from .prompts import ExamplePool, PromptsConfig, with_prompts
from .schedule import rate_factor
from .throughput import Throughput
from .validation import base_views, grid, refiner_views, scores

AUTOENCODER_IMAGES = 2000


@threestudio.register("zero123-training-system")
class Zero123Training(BaseSystem):
    """Steps that Base and Refiner training share."""

    @dataclass
    class Config(BaseSystem.Config):
        architecture: dict = field(default_factory=dict)  # constructor arguments; see zero123/architecture.py
        init_weights: str = ""  # folder of a model to go on from; empty: random weights
        learning_rate: float = within(1e-4, 0, 1)
        projection_lr_factor: float = within(10.0, 0, 1e4)  # of cc_projection
        warmup_steps: int = within(100, 0, 10**9)
        constant_steps: int = within(0, 0, 10**9)  # after which the rate falls linearly
        decay_steps: int = within(0, 0, 10**9)  # to `final_lr_factor` at this step; 0: never
        final_lr_factor: float = within(0.05, 0, 1)
        weight_decay: float = within(1e-2, 0, 100)
        adam_beta2: float = within(0.99, 0, 0.9999999)
        condition_dropout: float = within(0.05, 0, 1 / 3)  # each of: tokens, latents, both
        high_noise_power: float = within(0.0, 0, 100)
        last_step_probability: float = within(0.0, 0, 1)
        # See `loss_weights`; None: the plain error of what is predicted.
        max_snr_weight: float | None = within(None, 1e-6, 1e6)
        ema_decay: float = within(0.9999, 0, 1)  # eta of Eq. 13; 1 leaves Base as it is
        # Of a Refiner's average of its own weights; 0: it is saved as it was trained.
        own_average_decay: float = within(0.0, 0, 1)
        ema_warmup: bool = True  # for runs that are short beside 1 / (1 - ema_decay) steps
        encoder_steps: int = within(0, 0, 10**9)  # of fitting an image encoder from random weights (encoder_fit.py)
        train_image_encoder: bool = False
        refiner: bool = False  # train, validate and keep the network as Refiner, beside Base
        prompts: dict = field(default_factory=dict)  # of a Refiner; see PromptsConfig
        gradient_checkpointing: bool = False  # of the U-Net: less memory, a third more time
        # Seconds since 1970: the step that ends after it is the last of this process.
        stop_at: float | None = within(None, 0, 1e11)
        seed: int = within(0, 0, LARGEST_SEED)

    cfg: Config

    def configure(self) -> None:
        self.model = self.initial_model()
        self.model.vae.requires_grad_(False)
        self.model.image_encoder.requires_grad_(self.cfg.train_image_encoder)
        prompts: Any = OmegaConf.to_object(parse_structured(PromptsConfig, self.cfg.prompts))
        self.pool = ExamplePool(prompts) if self.cfg.refiner else None
        if self.pool is not None:
            self.model.settings.prompt_steps, self.model.settings.prompt_scale = prompts.steps, prompts.scale
        self.base = copy.deepcopy(self.model).requires_grad_(False).eval()
        averaged = self.cfg.refiner and self.cfg.own_average_decay > 0
        self.average = copy.deepcopy(self.base) if averaged else None
        self.noise_schedule = self.model.scheduler()
        self.throughput, self.saved_step = Throughput(), -1
        if self.cfg.gradient_checkpointing:
            self.model.unet.enable_gradient_checkpointing()

    @property
    def datamodule(self) -> RenderedViewsDataModule:
        """Lightning's trainer has it, though its type does not say so."""
        trainer: Any = self.trainer
        return trainer.datamodule

    def initial_model(self) -> Zero123:
        if self.cfg.init_weights:
            model = load_zero123(self.cfg.init_weights)
            announce(self.cfg.init_weights, model)
            return model.requires_grad_(True).train()
        architecture: Any = OmegaConf.to_object(parse_structured(Architecture, self.cfg.architecture))
        return build_model(architecture, "system.architecture")

    def on_fit_start(self) -> None:
        """A patch autoencoder and an image encoder are fitted once, before the first step; by one process for all."""
        if self.cfg.init_weights or self.resumed:
            return
        data, model = self.datamodule, self.model
        if self.global_rank == 0:
            if isinstance(model.vae, PatchAutoencoder):
                model.vae.fit(2.0 * data.sample_images(AUTOENCODER_IMAGES).to(self.device) - 1.0)
            if self.cfg.encoder_steps:
                with console_bars("Image encoder", self.cfg.encoder_steps) as progress:
                    fit_image_encoder(model, data.encoder_images, self.cfg.encoder_steps, progress)
        for name in ("vae", "image_encoder"):
            fitted = getattr(model, name)
            fitted.load_state_dict(self.trainer.strategy.broadcast(fitted.state_dict()))
            for average in filter(None, (self.base, self.average)):
                getattr(average, name).load_state_dict(fitted.state_dict())

    def configure_optimizers(self) -> Any:
        projection = list(self.model.cc_projection.parameters())
        ids = {id(parameter) for parameter in projection}
        rest = [p for p in self.model.parameters() if p.requires_grad and id(p) not in ids]
        groups = [
            {"params": rest, "lr": self.cfg.learning_rate},
            {"params": projection, "lr": self.cfg.learning_rate * self.cfg.projection_lr_factor},
        ]
        # Lightning clips no gradients under mixed precision for a fused optimiser; on CPUs torch has one from 2.4 on.
        possible = self.device.type == "cuda" or versions.installed("torch") >= (2, 4)
        fused = possible and "mixed" not in str(self.trainer.precision)
        betas = (0.9, self.cfg.adam_beta2)
        optimizer = torch.optim.AdamW(groups, weight_decay=self.cfg.weight_decay, betas=betas, fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def lr_factor(self, step: int) -> float:
        cfg = self.cfg
        return rate_factor(step, cfg.warmup_steps, cfg.constant_steps, cfg.decay_steps, cfg.final_lr_factor)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.filling = self.pool is not None and not self.pool.full

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Eq. 12 on a target and its context: true views where the batch has some, else (a Refiner's) Base's."""
        step = self.batches_seen(batch_idx)
        if "broken_objects" in batch:
            self.log("train/broken_objects", batch["broken_objects"])
        if self.pool is not None and "examples" in batch:
            self.refresh(self.pool, step, batch["examples"])
        views: Views = batch["views"] if "views" in batch or self.pool is None else self.prompted(self.pool, step)
        loss = self.denoising_loss(views, draw_generator(self.cfg.seed, "objective", step, self.global_rank))
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def batches_seen(self, batch_idx: int) -> int:
        """Of this process, before this one: the steps, and within a step what is accumulated."""
        accumulated = self.trainer.accumulate_grad_batches
        return self.global_step * accumulated + batch_idx % accumulated

    def refresh(self, pool: ExamplePool, step: int, examples: Views) -> None:
        """What is due of the pool is sampled anew, by Base as it is now."""
        generator = draw_generator(self.cfg.seed, "prompts", step, self.global_rank)
        pool.put(with_prompts(self.base, examples, pool.cfg, generator))

    def prompted(self, pool: ExamplePool, step: int) -> Views:
        """A batch from the pool."""
        # All processes have to agree on the number of tokens, or one would wait for the other.
        kept = pool.cfg.draw_kept(draw_generator(self.cfg.seed, "kept", step))
        generator = draw_generator(self.cfg.seed, "pool", step, self.global_rank)
        return pool.draw(self.datamodule.cfg.batch_size, kept, generator).to(self.device)

    def denoising_loss(self, batch: Views, generator: torch.Generator) -> Tensor:
        latents = self.model.target_latents(batch.pictures[:, 1])
        timesteps = draw_timesteps(
            len(latents),
            self.noise_schedule.config.num_train_timesteps,
            self.cfg.high_noise_power,
            self.cfg.last_step_probability,
            generator,
        ).to(latents.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        context = drop_conditions(context_of(self.model, batch), self.cfg.condition_dropout, generator)
        noisy = self.noise_schedule.add_noise(latents, noise, timesteps)
        predicted = self.model.predict(noisy, timesteps, context)
        target = prediction_target(self.noise_schedule, latents, noise, timesteps)
        errors = (predicted - target).square().flatten(1).mean(1)
        if self.cfg.max_snr_weight is not None:
            errors = errors * loss_weights(self.noise_schedule, timesteps, self.cfg.max_snr_weight)
        return errors.mean()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """And Eq. 13, before anybody can save what the step has made."""
        super().optimizer_step(*args, **kwargs)
        update_ema(self.base, self.model, self.decay_now(self.cfg.ema_decay))
        if self.average is not None:
            update_ema(self.average, self.model, self.decay_now(self.cfg.own_average_decay))

    def decay_now(self, decay: float) -> float:
        return warmed_up_decay(decay, self.global_step + 1) if self.cfg.ema_warmup else decay

    @property
    def refiner(self) -> Zero123:
        """As it is used."""
        return self.model if self.average is None else self.average

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.filling:
            self.throughput.skip()
        else:
            self.throughput.end()
        accumulated = self.trainer.accumulate_grad_batches
        samples = self.datamodule.cfg.batch_size * self.trainer.world_size
        self.log("train/samples_per_second", samples * self.throughput.batches_per_second)
        left = (self.trainer.max_steps - self.global_step) * accumulated
        if self.cfg.stop_at is not None and self.trainer.strategy.broadcast(time.time() >= self.cfg.stop_at):
            self.trainer.should_stop = True
        announcement = self.throughput.announcement(left)
        if announcement is not None:
            threestudio.info(announcement)

    def on_validation_end(self) -> None:
        self.throughput.skip()

    def validation_step(self, batch: Views, batch_idx: int) -> None:
        """Of what is trained: see validation.py. `val/psnr` is how it is used, for checkpoints to be chosen by."""
        if self.pool is None:
            views, used = base_views(self.base, batch), "source_alone"
        else:
            generator = draw_generator(self.cfg.seed, "validation", batch_idx, self.global_rank)
            views, used = refiner_views(self.refiner, self.base, batch, self.pool.cfg, generator), "prompts"
        for name, score in scores(views, batch).items():
            self.log("val/psnr" if name == used else f"val/psnr_{name}", score, sync_dist=True, batch_size=len(batch))
        if batch_idx == 0 and self.global_rank == 0:
            self.show(grid(views, batch))

    def show(self, picture: Float[Tensor, "3 H W"]) -> None:
        """In the save folder and in TensorBoard."""
        if self._save_dir is not None:
            self.save_rgb_image(f"it{self.global_step}-val.png", picture, data_format="CHW", data_range=(0, 1))
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/novel_views", picture, self.global_step)

    def on_validation_epoch_end(self) -> None:
        metrics = {name: f"{float(v):.2f}" for name, v in self.trainer.callback_metrics.items() if "psnr" in name}
        threestudio.info(f"step {self.global_step}: {metrics}")
        self.save_weights()

    def on_train_end(self) -> None:
        """The last step's, wherever the last validation was."""
        if self.global_step == self.trainer.max_steps:
            self.save_weights()

    def save_weights(self) -> None:
        """Once a step, by one process; if it cannot, all stop, or the others would wait for it forever."""
        if self._save_dir is None or self.saved_step == self.global_step:
            return
        self.saved_step = self.global_step
        folder = self.get_save_path(f"weights/it{self.global_step}")
        failure = None
        if self.global_rank == 0:
            try:
                self.write_weights(folder)
            except UserError as error:
                failure = error
        failure = self.trainer.strategy.broadcast(failure)
        if failure is not None:
            raise failure

    def write_weights(self, folder: str) -> None:
        base = copy.deepcopy(self.base).half().cpu()
        if self.cfg.refiner:
            save_cascade(base, copy.deepcopy(self.refiner).half().cpu(), folder)
        else:
            save_zero123(base, f"{folder}/base")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The pools of all processes: a resumed run draws from what Base sampled before."""
        if self.pool is not None:
            gathered: Any = self.all_gather(self.pool.state())
            alone = self.trainer.world_size == 1
            checkpoint["example_pools"] = [
                {key: (value if alone else value[rank]).cpu() for key, value in gathered.items()}
                for rank in range(self.trainer.world_size)
            ]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.pool is None:
            return
        pools = checkpoint.get("example_pools", [])
        if len(pools) != self.trainer.world_size:
            raise UserError(
                f"the checkpoint is of {len(pools)} processes, this run has {self.trainer.world_size}; "
                "resume with as many"
            )
        self.pool.load(pools[self.global_rank])
