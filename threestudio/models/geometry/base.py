"""What every geometry offers: a field over a box, from which a mesh can be taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from threestudio.mesh.isosurface import IsosurfaceSettings, extract_isosurface
from threestudio.mesh.mesh import Mesh
from threestudio.utils.base import BaseModule
from threestudio.utils.ranges import within

RADII = (1e-3, 1e3)  # world units


def box_of_radius(radius: float) -> Float[Tensor, "2 3"]:
    """Lowest and highest corner of the cube [-radius, radius]^3."""
    return torch.tensor([[-radius] * 3, [radius] * 3])


def to_unit_cube(points: Float[Tensor, "*point 3"], bbox: Float[Tensor, "2 3"]) -> Float[Tensor, "*point 3"]:
    return (points - bbox[0]) / (bbox[1] - bbox[0])


def contract_to_unisphere(
    x: Float[Tensor, "*point 3"], bbox: Float[Tensor, "2 3"], unbounded: bool = False
) -> Float[Tensor, "*point 3"]:
    """The box to the unit cube; `unbounded`, its ball to the middle half and all space around it into the rest
    (mip-NeRF 360, Barron et al. 2022, Eq. 10)."""
    unit = to_unit_cube(x, bbox)
    if not unbounded:
        return unit
    centred = 2.0 * unit - 1.0
    norm = centred.norm(dim=-1, keepdim=True).clamp(min=1.0)
    return 0.5 + 0.25 * centred * (2.0 - 1.0 / norm) / norm


class BaseGeometry(BaseModule):
    """What has a shape."""

    def export(self, points: Float[Tensor, "*point 3"], **kwargs: Any) -> dict[str, Tensor]:
        """What a texture needs at these points."""
        return {}


class BaseImplicitGeometry(BaseGeometry):
    """A field of densities and features inside a box, whose surface can be extracted."""

    @dataclass
    class Config(BaseGeometry.Config):
        # Half the side of the box around the origin, in world units.
        radius: float = within(1.0, *RADII, "world units")

        # Upstream's keys for meshing; see `models/isosurface.py` for what each does here.
        isosurface: bool = True
        isosurface_method: str = "mc-cpu"
        isosurface_resolution: int = within(160, 8, 2048)
        isosurface_threshold: float | str = within("auto", 0, 1e6, "of density", words=("auto",))
        isosurface_chunk: int = within(0, 0, 10**9, "points")
        isosurface_coarse_to_fine: bool = True
        isosurface_deformable_grid: bool = False
        isosurface_remove_outliers: bool = True
        isosurface_outlier_n_faces_threshold: int | float = within(0.01, 0, 10**9, "faces, or as a share of them")

    cfg: Config
    bbox: Float[Tensor, "2 3"]

    def configure(self) -> None:
        self.register_buffer("bbox", box_of_radius(self.cfg.radius))

    def forward(self, points: Float[Tensor, "*point 3"], output_normal: bool = False) -> Mapping[str, Tensor]:
        """The fields at the points: `density` and `features` at least, `normal` if it is asked for."""
        raise NotImplementedError

    def forward_density(self, points: Float[Tensor, "*point 3"]) -> Float[Tensor, "*point 1"]:
        """The density alone, which is cheaper."""
        raise NotImplementedError

    def forward_field(
        self, points: Float[Tensor, "*point 3"]
    ) -> tuple[Float[Tensor, "*point 1"], Float[Tensor, "*point 3"] | None]:
        """The field whose level set is the surface, and a deformation of the grid that samples it (here none)."""
        return self.forward_density(points), None

    def forward_level(self, field: Float[Tensor, "*point 1"], threshold: float) -> Float[Tensor, "*point 1"]:
        """Negative inside."""
        return threshold - field

    def isosurface(self) -> Mesh:
        return extract_isosurface(self.forward_density, self.bbox, IsosurfaceSettings.from_geometry(self.cfg))


class BaseExplicitGeometry(BaseGeometry):
    """A surface that is kept as one; upstream's base class, for geometries of extensions."""

    @dataclass
    class Config(BaseGeometry.Config):
        radius: float = within(1.0, *RADII, "world units")  # half the side of the box around the origin

    cfg: Config
    bbox: Float[Tensor, "2 3"]

    def configure(self) -> None:
        self.register_buffer("bbox", box_of_radius(self.cfg.radius))
