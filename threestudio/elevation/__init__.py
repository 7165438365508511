"""From how high a picture was taken: a small network that looks at the cut-out alone."""

from threestudio.elevation.estimate import Elevation, elevation_of

__all__ = ["Elevation", "elevation_of"]
