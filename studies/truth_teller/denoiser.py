"""In the U-Net's place: the answer that leads exactly to the view that the teller has in mind, true or in error.

From the tokens, which are here [moments of a view, pose view -> target], it works out the target's camera and those of
all that it is shown. Tokens of zeros have no pose (sin^2 + cos^2 of one is 1): they ask for the unconditional answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from cascade_zero123.views import Cameras
from diffusers.configuration_utils import FrozenDict
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from studies.truth_teller.errors import FAR_DEG, Deviation, Errors, angles_deg, blurred, drawn, draws_of, is_behind
from studies.truth_teller.moments import MOMENTS, moments
from studies.truth_teller.true_views import TrueViews

POSE = 4
TOKEN = MOMENTS + POSE
Encode = Callable[[Float[Tensor, "view 3 h w"]], Float[Tensor, "view c lh lw"]]


def answer(
    x0: Float[Tensor, "view c h w"],
    noisy: Float[Tensor, "view c h w"],
    alpha_bar: Float[Tensor, "view"],
    prediction_type: str,
) -> Float[Tensor, "view c h w"]:
    """The output that says that the clean latents are `x0`: the inverse of the sampler's `x0_and_epsilon`."""
    signal, sigma = alpha_bar.sqrt()[:, None, None, None], (1 - alpha_bar).sqrt()[:, None, None, None]
    epsilon = (noisy - signal * x0) / sigma
    answers = {"epsilon": epsilon, "v_prediction": signal * epsilon - sigma * x0, "sample": x0}
    return answers[prediction_type]


def target_of(condition: Cameras, pose: Float[Tensor, "view 4"]) -> Cameras:
    """The camera that a pose token leads to: the inverse of `pose_token` of kind zero123."""
    elevation, sine, cosine, distance = pose.unbind(-1)
    azimuth = condition.azimuth_deg + torch.rad2deg(torch.atan2(sine, cosine))
    return Cameras(condition.elevation_deg - torch.rad2deg(elevation), azimuth, condition.distance + distance)


def condition_of(target: Cameras, pose: Float[Tensor, "view 4"]) -> Cameras:
    """The camera that a pose token comes from."""
    return target_of(target, pose * pose.new_tensor([-1, -1, 1, -1]))


@dataclass
class Mind:
    """What the teller knows, and how it errs; `step` is that of the optimisation, on which draws depend."""

    true: TrueViews
    source: Cameras  # [1]
    errors: Errors = field(default_factory=Errors)
    mean_object: Float[Tensor, "3 h w"] | None = None  # on white; needed where the unconditional branch errs
    seed: int = 0
    step: int = 0

    def view(self, at: Cameras, shown: Cameras, seen: Float[Tensor, "view 9"]) -> Float[Tensor, "3 h w"]:
        """What it expects to see at a camera, [1], when it is shown views [view] of these moments."""
        errors, inherited = self.errors, Deviation.none()
        if errors.follows:
            angles = angles_deg(at, shown)
            nearest = int(angles.argmin())
            far = min(1.0, float(angles[nearest]) / FAR_DEG)
            true = moments(self.true.pictures(shown[nearest : nearest + 1]))[0]
            errors, inherited = errors.at(far), Deviation.between(true, seen[nearest]).faded(1 - far)
        deviation = inherited.then(drawn(errors, self._draws("deviation", at)))
        return deviation(blurred(self.true.pictures(self._looked_at(at, errors))[0], errors.blur))

    def unconditional(self, expected: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 h w"]:
        """What it expects where it is shown nothing; `expected` is what it does when it is shown all."""
        if self.mean_object is None:
            return expected
        return torch.lerp(expected, self.mean_object, self.errors.unconditional)

    def _looked_at(self, at: Cameras, errors: Errors) -> Cameras:
        """The camera itself, or the one in front that is taken for it."""
        wrong = float(torch.rand((), generator=self._draws("back", at))) < errors.back
        if wrong and is_behind(float(at.azimuth_deg), float(self.source.azimuth_deg)):
            return Cameras(at.elevation_deg, at.azimuth_deg + 180, at.distance)
        return at

    def _draws(self, purpose: str, at: Cameras) -> torch.Generator:
        return draws_of(self.seed, purpose, self.step, float(at.elevation_deg), float(at.azimuth_deg))


class TrueDenoiser(nn.Module):
    """Behind the interface of diffusers' `UNet2DConditionModel`.

    The unconditional rows of a batch are those before the conditional ones and as many, as `guided_output` has them.
    """

    def __init__(self, mind: Mind, encode: Encode, scheduler: Any, side: int) -> None:
        super().__init__()
        self.config: Any = FrozenDict(
            sample_size=side, in_channels=8, out_channels=4, cross_attention_dim=TOKEN, class_embed_type=None
        )
        self.mind, self.encode, self.prediction_type = mind, encode, scheduler.config.prediction_type
        self.alphas_bar = nn.Parameter(scheduler.alphas_cumprod, requires_grad=False)

    @property
    def dtype(self) -> torch.dtype:
        """In which it answers."""
        return self.alphas_bar.dtype

    def forward(
        self,
        inputs: Float[Tensor, "view 8 h w"],
        timestep: Int[Tensor, "view"],
        tokens: Float[Tensor, "view token 13"],
        class_labels: None = None,
    ) -> SimpleNamespace:
        """`.sample`: of the scheduler's prediction type."""
        told = has_pose(tokens)
        expected = torch.stack([self._expected(row) for row in tokens[told]])
        if not told.all():
            assert 2 * len(expected) == len(tokens), "unconditional rows are paired with conditional ones"
            expected = torch.cat([torch.stack([self.mind.unconditional(one) for one in expected]), expected])
        noisy = inputs[:, : self.config.out_channels]
        x0 = self.encode(expected).to(noisy)
        return SimpleNamespace(sample=answer(x0, noisy, self.alphas_bar[timestep].to(noisy), self.prediction_type))

    def _expected(self, tokens: Float[Tensor, "token 13"]) -> Float[Tensor, "3 h w"]:
        """By one row's tokens, of which the first is the source's."""
        seen, poses = tokens.float().split([MOMENTS, POSE], dim=-1)
        at = target_of(self.mind.source, poses[:1])
        return self.mind.view(at, condition_of(at, poses), seen)


def has_pose(tokens: Float[Tensor, "view token 13"]) -> Bool[Tensor, "view"]:
    """Which rows are conditional."""
    return tokens[:, 0, -POSE + 1 : -1].square().sum(-1) > 0.5
