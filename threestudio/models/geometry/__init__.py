"""What occupies space."""

from threestudio.models.geometry.implicit_volume import ImplicitVolume

__all__ = ["ImplicitVolume"]
