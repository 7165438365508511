"""The picture and its cameras."""

from threestudio.data import image, uncond  # noqa: F401  (registers the data modules)
