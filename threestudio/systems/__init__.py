"""Systems: what is optimised, and by which losses."""

from threestudio.systems import zero123  # noqa: F401  (registers the system)
