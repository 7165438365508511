"""The relief of a picture: how far and how turned its front is, how thick the object, guessed by a small network."""

from threestudio.relief.relief import Relief, relief_of
from threestudio.relief.weights import load_relief_network

__all__ = ["Relief", "load_relief_network", "relief_of"]
