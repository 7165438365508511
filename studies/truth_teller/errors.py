"""The known ways in which a model is wrong, each with its strength; all 0 is the perfect model.

    blur            it is unsure: what it shows is blurred
    shift, colour   its samples do not agree: each view of each step is displaced and coloured by a draw of its own
    back            Janus: from behind it shows what the front looks like, with a probability
    unconditional   its unconditional branch expects a mean object, which guidance leads away from

With `follows` these (but the last) are as strong as the view is far from the nearest view that the model is shown, up
to full strength at FAR_DEG; and as near as it is, it repeats the shift and the colour of that nearest view. So the
errors of views that see the same prompts are shared, and Base, which sees the source alone, errs by the angle to it.

Every draw depends on (seed, purpose, step, camera) alone. Pictures are on white, in [0, 1].
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.views import Cameras
from jaxtyping import Float
from torch import Tensor

from studies.truth_teller.moments import LEAST
from threestudio.utils.ranges import within

FAR_DEG = 90.0
BEHIND_DEG = 90.0  # of azimuth from the source
LARGEST_GAIN = 4.0


@dataclass
class Errors:
    """Strengths."""

    blur: float = within(0.0, 0, 1, "of the picture's side, standard deviation")
    shift: float = within(0.0, 0, 1, "of the picture's side, standard deviation")
    colour: float = within(0.0, 0, 10, "standard deviation of what multiplies a channel's darkness")
    back: float = within(0.0, 0, 1, "probability")
    unconditional: float = within(0.0, 0, 1)
    follows: bool = False

    def at(self, far: float) -> "Errors":
        """As strong as at a view so far, 0 to 1, from those shown."""
        return replace(self, **{key: far * getattr(self, key) for key in ("blur", "shift", "colour", "back")})


@dataclass(frozen=True)
class Deviation:
    """What is done to a picture: its darkness is multiplied and then displaced, x to the right and y down."""

    gain: Float[Tensor, "3"]
    shift: Float[Tensor, "2"]  # of the picture's side

    @classmethod
    def none(cls) -> "Deviation":
        """Leaves a picture as it is."""
        return cls(torch.ones(3), torch.zeros(2))

    @classmethod
    def between(cls, true: Float[Tensor, "9"], seen: Float[Tensor, "9"]) -> "Deviation":
        """What turned a picture of the first moments into one of the second (`moments.py`)."""
        mass, there, here = true[:3], true[3:].view(2, 3), seen[3:].view(2, 3)
        gain = (seen[:3] / mass.clamp_min(LEAST)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
        return cls(gain, ((here - there) * mass).sum(1) / mass.sum().clamp_min(LEAST))

    def faded(self, share: float) -> "Deviation":
        """So much of it, 0 to 1."""
        return Deviation(1 + share * (self.gain - 1), share * self.shift)

    def then(self, other: "Deviation") -> "Deviation":
        """Both, one after the other."""
        return Deviation(self.gain * other.gain, self.shift + other.shift)

    def __call__(self, picture: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 h w"]:
        return (1 - moved(self.gain[:, None, None] * (1 - picture), self.shift)).clamp(0, 1)


def drawn(errors: Errors, generator: torch.Generator) -> Deviation:
    """A deviation of these strengths."""
    normal = torch.randn(5, generator=generator)
    return Deviation((1 + errors.colour * normal[:3]).clamp(1 / LARGEST_GAIN, LARGEST_GAIN), errors.shift * normal[3:])


def draws_of(seed: int, purpose: str, step: int, elevation_deg: float, azimuth_deg: float) -> torch.Generator:
    """For one view of one step."""
    return draw_generator(seed, f"truth-teller {purpose} {elevation_deg:.3f} {azimuth_deg % 360:.3f}", step)


def moved(picture: Float[Tensor, "channel h w"], shift: Float[Tensor, "2"]) -> Float[Tensor, "channel h w"]:
    """By shares of its side, x to the right and y down; what comes in is 0."""
    if not shift.any():
        return picture
    place = torch.eye(2, 3)
    place[:, 2] = -2 * shift
    grid = F.affine_grid(place[None], [1, *picture.shape], align_corners=False)
    return F.grid_sample(picture[None], grid.to(picture), align_corners=False)[0]


def blurred(picture: Float[Tensor, "3 h w"], sigma: float) -> Float[Tensor, "3 h w"]:
    """By a Gaussian whose standard deviation is a share of the picture's side; around it all is white."""
    sigma *= picture.shape[-1]
    if sigma == 0:
        return picture
    radius = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(picture)
    darkness = F.conv2d((1 - picture)[:, None], kernel.view(1, 1, -1, 1), padding=(radius, 0))
    return (1 - F.conv2d(darkness, kernel.view(1, 1, 1, -1), padding=(0, radius)))[:, 0].clamp(0, 1)


def angles_deg(one: Cameras, others: Cameras) -> Float[Tensor, "other"]:
    """At the object, between the directions to one camera, [1], and to each of the others."""
    (elevation, azimuth), (elevations, azimuths) = (
        (torch.deg2rad(at.elevation_deg.double()), torch.deg2rad(at.azimuth_deg.double())) for at in (one, others)
    )
    cosine = elevation.sin() * elevations.sin() + elevation.cos() * elevations.cos() * (azimuth - azimuths).cos()
    return torch.rad2deg(cosine.clamp(-1, 1).acos())


def is_behind(azimuth_deg: float, source_azimuth_deg: float) -> bool:
    """Whether a view is one from behind."""
    return abs((azimuth_deg - source_azimuth_deg + 180) % 360 - 180) > BEHIND_DEG
