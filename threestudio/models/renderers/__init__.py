"""From a field to pictures."""

from threestudio.models.renderers.nerf_volume_renderer import NeRFVolumeRenderer

__all__ = ["NeRFVolumeRenderer"]
