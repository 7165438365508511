"""What flows through the method: pictures and the cameras that they are seen from, as one value.

Both have any leading shape ([view], [row view], ..) and are indexed, joined, moved and reshaped as one tensor would be.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

COLORS = 3  # of the channels; what follows them is opacity


@dataclass(frozen=True)
class Cameras:
    """Cameras that look at the origin with z up: elevation and azimuth in degrees, distance in world units."""

    elevation_deg: Float[Tensor, "*view"]
    azimuth_deg: Float[Tensor, "*view"]
    distance: Float[Tensor, "*view"]

    @classmethod
    def one(
        cls, elevation_deg: float, azimuth_deg: float, distance: float, device: torch.device | str = "cpu"
    ) -> "Cameras":
        """A single camera, [1]."""
        values = (elevation_deg, azimuth_deg, distance)
        return cls(*(torch.tensor([float(value)], device=device) for value in values))

    @classmethod
    def from_tensor(cls, values: Float[Tensor, "3 *view"]) -> "Cameras":
        """The inverse of `as_tensor`."""
        return cls(*values)

    def as_tensor(self) -> Float[Tensor, "3 *view"]:
        """Elevation, azimuth and distance."""
        return torch.stack([self.elevation_deg, self.azimuth_deg, self.distance])

    @staticmethod
    def join(cameras: Sequence["Cameras"], dim: int = 0) -> "Cameras":
        """One after the other along a dimension."""
        return Cameras.from_tensor(torch.cat([each.as_tensor() for each in cameras], dim % cameras[0].ndim + 1))

    def each(self, change: Callable[[Tensor], Tensor]) -> "Cameras":
        """With `change` done to each of the three tensors."""
        return Cameras(change(self.elevation_deg), change(self.azimuth_deg), change(self.distance))

    def __getitem__(self, index: Any) -> "Cameras":
        return self.each(lambda value: value[index])

    def __len__(self) -> int:
        return len(self.distance)

    @property
    def shape(self) -> torch.Size:
        """The leading shape."""
        return self.distance.shape

    @property
    def ndim(self) -> int:
        """Of the leading shape."""
        return self.distance.ndim

    def to(self, device: torch.device | str) -> "Cameras":
        """On another device."""
        return self.each(lambda value: value.to(device))

    def repeat_each(self, count: int) -> "Cameras":
        """Each of the first dimension so many times: a a b b .."""
        return self.each(lambda value: value.repeat_interleave(count, dim=0))

    def repeated(self, count: int) -> "Cameras":
        """The whole so many times along the first dimension: a b a b .."""
        return Cameras.join([self] * count)

    def reshape(self, *shape: int) -> "Cameras":
        """With another leading shape of as many cameras."""
        return self.each(lambda value: value.reshape(*shape))

    def beside(self, offsets_deg: Sequence[tuple[float, float]]) -> "Cameras":
        """For each camera of [*view 1] those at [azimuth, elevation] offsets in degrees from it, at its distance."""
        azimuth, elevation = self.azimuth_deg.new_tensor(offsets_deg).reshape(-1, 2).unbind(-1)
        elevation_deg, azimuth_deg = self.elevation_deg + elevation, self.azimuth_deg + azimuth
        return Cameras(elevation_deg, azimuth_deg, self.distance.expand_as(azimuth_deg))


@dataclass(frozen=True)
class Views:
    """Pictures as a model sees them (zero123/white.py): in [0, 1], colours on white and, of some models, opacity."""

    pictures: Float[Tensor, "*view channel h w"]
    cameras: Cameras

    def __post_init__(self) -> None:
        if self.pictures.shape[:-3] != self.cameras.shape:
            raise ValueError(f"pictures {tuple(self.pictures.shape[:-3])}, cameras {tuple(self.cameras.shape)}")

    @staticmethod
    def join(views: Sequence["Views"], dim: int = 0) -> "Views":
        """One after the other along a dimension of the leading shape."""
        dim = dim % views[0].cameras.ndim
        cameras = Cameras.join([each.cameras for each in views], dim)
        return Views(torch.cat([each.pictures for each in views], dim), cameras)

    @property
    def colors(self) -> Float[Tensor, "*view 3 h w"]:
        """On white."""
        return self.pictures[..., :COLORS, :, :]

    @property
    def alpha(self) -> Float[Tensor, "*view 1 h w"] | None:
        """The opacity, where a model sees it."""
        return self.pictures[..., COLORS:, :, :] if self.pictures.shape[-3] > COLORS else None

    def __getitem__(self, index: Any) -> "Views":
        """Of the leading dimensions."""
        return Views(self.pictures[index], self.cameras[index])

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def shape(self) -> torch.Size:
        """The leading shape."""
        return self.cameras.shape

    def to(self, device: torch.device | str, **kwargs: Any) -> "Views":
        """On another device."""
        return Views(self.pictures.to(device, **kwargs), self.cameras.to(device))

    def repeat_each(self, count: int) -> "Views":
        """Each of the first dimension so many times."""
        return Views(self.pictures.repeat_interleave(count, dim=0), self.cameras.repeat_each(count))

    def reshape(self, *shape: int) -> "Views":
        """With another leading shape of as many views."""
        return Views(self.pictures.reshape(*shape, *self.pictures.shape[-3:]), self.cameras.reshape(*shape))

    def resized(self, size: int) -> "Views":
        """Of [view], bilinear with anti-aliasing."""
        pictures = F.interpolate(self.pictures, (size, size), mode="bilinear", antialias=True).clamp(0, 1)
        return Views(pictures, self.cameras)

    def rounded(self) -> "Views":
        """To 8 bits, so that stored views are the very same as new ones."""
        return Views(eight_bit(self.pictures).float() / 255.0, self.cameras)


def eight_bit(pictures: Float[Tensor, "*view channel h w"]) -> UInt8[Tensor, "*view channel h w"]:
    """From [0, 1]."""
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8)
