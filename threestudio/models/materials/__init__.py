"""How a point's features become its colour."""

from threestudio.models.materials.diffuse_with_point_light_material import DiffuseWithPointLightMaterial
from threestudio.models.materials.no_material import NoMaterial

__all__ = ["DiffuseWithPointLightMaterial", "NoMaterial"]
