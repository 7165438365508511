"""Systems: what is optimised, and by which losses."""

from threestudio.systems import base, zero123

__all__ = ["base", "zero123"]
