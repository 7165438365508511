"""What lies behind the object."""

from threestudio.models.background.solid_color_background import SolidColorBackground

__all__ = ["SolidColorBackground"]
