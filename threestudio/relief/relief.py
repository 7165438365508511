"""From a picture and its camera to depth, normals, thickness and a solid, in world units.

The network speaks in halves of the picture's height H in the plane through the origin (`network.py`), which is where
pictures are prepared to have their object. With a camera at distance d along its axis, an offset z of a pixel lies at
axial depth d + z H, and on the pixel's ray, which leaves the axis at an angle a, at distance (d + z H) / cos a.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from threestudio import cameras
from threestudio.relief.inputs import network_input
from threestudio.relief.network import SIZE, ReliefNetwork
from threestudio.relief.weights import load_relief_network

SKIN = 0.04  # halves of the picture's height: of a front that is thinner than the layers can tell


@dataclass(frozen=True)
class Relief:
    """Of a square picture, by pixels of 128 x 128 (`layers`: 64 x 64); distances in world units."""

    mask: Bool[Tensor, "h w"]  # where the picture shows the object: elsewhere nothing else here counts
    depth: Float[Tensor, "h w"]  # from the camera to the front, along the pixel's ray
    thickness: Float[Tensor, "h w"]  # from the front to where the ray leaves the object for the last time
    normal: Float[Tensor, "h w 3"]  # of the front, in world axes, of length 1
    layers: Float[Tensor, "layer lh lw"]  # probability of being inside, in planes that face the camera: `network.py`
    elevation_deg: float  # of the camera, as the network guesses it from the picture alone
    c2w: Float[Tensor, "4 4"]
    fovy_deg: float

    @property
    def half_height(self) -> float:
        """World units, in the plane through the origin."""
        return half_height(self.c2w, self.fovy_deg)

    def inside(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point"]:
        """Probability, in [0, 1], of being inside the object: of the layers, and 1 in a skin at the front.

        0 beyond the picture's outline and beyond the layers.
        """
        place = self.place(points)
        inside = sampled(self.layers[None, None], place)
        front = sampled(self.offset()[None, None, None], place)
        skin = ((place[:, 2] >= front) & (place[:, 2] <= front + SKIN)).float()
        within = sampled(self.mask[None, None, None].float(), place) > 0.5
        return torch.where(within & (place.abs() <= 1).all(dim=1), torch.maximum(inside, skin), 0.0)

    def place(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point 3"]:
        """Column and row in [-1, 1] (rows downwards), and the offset from the plane through the origin."""
        in_camera = (points.to(self.c2w) - self.c2w[:3, 3]) @ self.c2w[:3, :3]
        axial = -in_camera[:, 2:]
        at_edge = axial * math.tan(math.radians(self.fovy_deg) / 2)
        offset = (axial - self.c2w[:3, 3].norm()) / self.half_height
        return torch.cat([in_camera[:, :1] / at_edge, -in_camera[:, 1:2] / at_edge, offset], dim=1).float()

    def offset(self) -> Float[Tensor, "h w"]:
        """Of the front, from the plane through the origin along the axis, in halves of the picture's height."""
        axial = self.depth * cosines(self.c2w, self.fovy_deg, SIZE)
        return (axial - float(self.c2w[:3, 3].norm())) / self.half_height

    def at(self, height: int, width: int) -> tuple[Float[Tensor, "h w 1"], Float[Tensor, "h w 3"]]:
        """Depth and normals of the square picture, cropped or padded to the width, at another size."""
        planes = torch.cat([self.depth[None], self.normal.permute(2, 0, 1)])
        half = width / height
        along = (torch.arange(height) + 0.5) / height * 2 - 1, ((torch.arange(width) + 0.5) / width * 2 - 1) * half
        row, column = torch.meshgrid(*along, indexing="ij")
        grid = torch.stack([column, row], dim=-1)[None]
        found = F.grid_sample(planes[None], grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0)
        return found[..., :1], F.normalize(found[..., 1:], dim=-1)


def relief_of(
    rgba: Float[Tensor, "h w 4"],
    c2w: Float[Tensor, "4 4"],
    fovy_deg: float,
    network: ReliefNetwork | None = None,
) -> Relief:
    """Of a square picture (straight alpha, in [0, 1]) whose camera looks at the origin; by the bundled network.

    The picture should be prepared as `data/picture.py` does: the object centred, its larger side 0.65 to 0.85 of it.
    """
    if rgba.shape[0] != rgba.shape[1]:
        raise ValueError(f"picture of {rgba.shape[1]} x {rgba.shape[0]} pixels; expected a square")
    network = network or load_relief_network()
    given = network_input(rgba)
    with torch.no_grad():
        found = network(given[None])
    c2w = c2w.float()
    distance, unit, cosine = float(c2w[:3, 3].norm()), half_height(c2w, fovy_deg), cosines(c2w, fovy_deg, SIZE)
    return Relief(
        mask=given[3] > 0.5,
        depth=(distance + unit * found.front[0]) / cosine,
        thickness=unit * found.thickness[0].clamp_min(0) / cosine,
        normal=found.normal[0].permute(1, 2, 0) @ c2w[:3, :3].T,
        layers=found.layer_logits[0].sigmoid(),
        elevation_deg=float(found.elevation_deg),
        c2w=c2w,
        fovy_deg=float(fovy_deg),
    )


def half_height(c2w: Float[Tensor, "4 4"], fovy_deg: float) -> float:
    return float(c2w[:3, 3].norm()) * math.tan(math.radians(fovy_deg) / 2)


def cosines(c2w: Float[Tensor, "4 4"], fovy_deg: float, size: int) -> Float[Tensor, "size size"]:
    """Of the angle between each pixel's ray and the camera's axis."""
    _, directions = cameras.rays(c2w[None], c2w.new_tensor([fovy_deg]), size, size)
    return directions[0] @ -c2w[:3, 2]


def sampled(planes: Float[Tensor, "1 1 layer h w"], place: Float[Tensor, "point 3"]) -> Float[Tensor, "point"]:
    """Trilinear; the nearest value beyond the border."""
    grid = place.to(planes)[None, None, None]
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=False)[0, 0, 0, 0]
