"""From points to pictures and meshes: encoding, field, material, background, renderer, isosurface, exporter."""

from threestudio.models import background, exporters, geometry, guidance, materials, prompt_processors, renderers

__all__ = ["background", "exporters", "geometry", "guidance", "materials", "prompt_processors", "renderers"]
