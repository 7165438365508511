"""Zero-1-to-3 under upstream's names."""

from threestudio.models.guidance import stable_zero123_guidance, zero123_guidance

__all__ = ["stable_zero123_guidance", "zero123_guidance"]
