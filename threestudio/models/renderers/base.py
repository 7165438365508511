"""What every renderer offers: pictures of a geometry with its material before a background."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from threestudio.models.background.base import BaseBackground
from threestudio.models.geometry.base import RADII, BaseGeometry, box_of_radius
from threestudio.models.materials.base import BaseMaterial
from threestudio.utils.base import BaseModule
from threestudio.utils.ranges import within


@dataclass
class Scene:
    """Held apart from the renderer's own modules: their parameters belong to the system, once."""

    geometry: BaseGeometry
    material: BaseMaterial
    background: BaseBackground


class Renderer(BaseModule):
    """Makes pictures of a field seen from given rays."""

    @dataclass
    class Config(BaseModule.Config):
        # Half the side of the box that is rendered, in world units.
        radius: float = within(1.0, *RADII, "world units")

    cfg: Config
    bbox: Float[Tensor, "2 3"]

    def configure(self, geometry: BaseGeometry, material: BaseMaterial, background: BaseBackground) -> None:
        self.scene = Scene(geometry, material, background)
        self.register_buffer("bbox", box_of_radius(self.cfg.radius))

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """`comp_rgb`, `opacity`, `depth` and what else a loss may ask for, of each ray."""
        raise NotImplementedError

    @property
    def geometry(self) -> Any:
        """Shared with the system, which trains it."""
        return self.scene.geometry

    @property
    def material(self) -> Any:
        """Shared with the system, which trains it."""
        return self.scene.material

    @property
    def background(self) -> Any:
        """Shared with the system, which trains it."""
        return self.scene.background

    def set_geometry(self, geometry: BaseGeometry) -> None:
        self.scene.geometry = geometry

    def set_material(self, material: BaseMaterial) -> None:
        self.scene.material = material

    def set_background(self, background: BaseBackground) -> None:
        self.scene.background = background


class VolumeRenderer(Renderer):
    """A renderer that integrates along rays."""


class Rasterizer(Renderer):
    """Of a geometry's mesh; upstream's base class, for renderers of extensions."""
