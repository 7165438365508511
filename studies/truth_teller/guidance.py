"""The method's guidance with the truth-teller in the place of each of its models ("truth-teller-guidance")."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cascade_zero123.cascade.models import CascadeModels, Choice, Residence
from cascade_zero123.guidance import CascadeZero123Guidance
from cascade_zero123.views import Cameras
from cascade_zero123.zero123.model import Zero123

import threestudio
from studies.truth_teller.denoiser import Mind
from studies.truth_teller.errors import Errors
from studies.truth_teller.teller import mean_object, truth_teller
from studies.truth_teller.true_views import TrueViews, true_object
from threestudio.utils.ranges import one_of, within


class TellingModels(CascadeModels):
    """In every place of the cascade the same teller."""

    def __init__(self, choices: Sequence[Choice], residence: Residence, teller: Zero123, told: str) -> None:
        self.teller, self.told = teller, told
        super().__init__(choices, residence)

    def load(self, index: int) -> Zero123:
        """The teller."""
        return self.refiner

    def fingerprint(self, index: int) -> str:
        """Of what it knows and how it errs."""
        return self.told

    def _load(self, choice: Choice) -> Zero123:
        return self.teller.to(self.residence.device)


@threestudio.register("truth-teller-guidance")
class TruthTellerGuidance(CascadeZero123Guidance):
    @dataclass
    class Config(CascadeZero123Guidance.Config):
        truth: str = ""  # true_views.py
        truth_fovy_deg: float = within(49.1, 0.1, 170, "degrees")
        truth_size: int = within(256, 8, 4096, "pixels")  # a multiple of 8
        errors: Errors = field(default_factory=Errors)
        prediction_type: str = one_of("epsilon", "v_prediction", "sample")

    cfg: Config

    def configure(self) -> None:
        cfg = self.cfg
        self.mind = self._mind()
        told = repr((cfg.truth, cfg.truth_fovy_deg, cfg.truth_size, self.mind.errors, cfg.prediction_type, cfg.seed))
        teller = truth_teller(self.mind, cfg.prediction_type)
        self.make_models = partial(TellingModels, teller=teller, told=told)
        super().configure()

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        super().update_step(epoch, global_step, on_load_weights)
        self.mind.step = global_step

    def _mind(self) -> Mind:
        cfg: Any = self.cfg  # whose blocks are OmegaConf's
        errors = Errors(**cfg.errors)
        camera = (cfg.cond_elevation_deg, cfg.cond_azimuth_deg, cfg.cond_camera_distance)
        mean = None
        if errors.unconditional > 0:
            mean = mean_object(cfg.truth_fovy_deg, cfg.truth_size, cfg.cond_elevation_deg, cfg.cond_camera_distance)
        true = TrueViews(true_object(cfg.truth), cfg.truth_fovy_deg, cfg.truth_size)
        return Mind(true, Cameras.one(*camera), errors, mean, cfg.seed)
