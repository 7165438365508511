"""In the image encoder's place: what of a picture tells how a model erred when it made it.

Of the darkness 1 - colour, which white background has none of: its mean in each channel, and where its centre lies in
shares of the picture, x to the right and y down. A picture whose object is shifted and whose darkness is multiplied
channel by channel has moments that say by how much (`Deviation.between`).
"""

from types import SimpleNamespace

import torch
from cascade_zero123.zero123.model import CLIP_MEAN, CLIP_STD
from diffusers.configuration_utils import FrozenDict
from jaxtyping import Float
from torch import Tensor, nn

MOMENTS = 9  # of red, green, blue: mean; x; y
LEAST = 1e-6  # darkness of a picture that counts as empty


def moments(pictures: Float[Tensor, "view 3 h w"]) -> Float[Tensor, "view 9"]:
    """Of pictures on white, in [0, 1]; a channel without darkness has its centre in the middle."""
    darkness = 1 - pictures
    mass = darkness.mean(dim=(2, 3))
    x = (darkness * centres(pictures.shape[3]).to(pictures)).mean(dim=(2, 3)) / mass.clamp_min(LEAST)
    y = (darkness * centres(pictures.shape[2]).to(pictures)[:, None]).mean(dim=(2, 3)) / mass.clamp_min(LEAST)
    return torch.cat([mass, x, y], dim=1)


def centres(count: int) -> Float[Tensor, "{count}"]:
    """Of pixels, in shares of the side around the middle."""
    return (torch.arange(count) + 0.5) / count - 0.5


class Moments(nn.Module):
    """Behind the interface of transformers' `CLIPVisionModelWithProjection`, whose normalised pixels it is given."""

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.config = FrozenDict(num_channels=3, image_size=image_size, projection_dim=MOMENTS)
        self.mean, self.std = (
            nn.Parameter(torch.tensor(values)[:, None, None], requires_grad=False) for values in (CLIP_MEAN, CLIP_STD)
        )

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.mean.dtype

    def forward(self, pixel_values: Float[Tensor, "view 3 h w"]) -> SimpleNamespace:
        """`.image_embeds`."""
        return SimpleNamespace(image_embeds=moments(pixel_values * self.std + self.mean))
