"""The picture and its cameras."""

from threestudio.data import image, source_picture, uncond  # noqa: F401  (registers the data modules)
