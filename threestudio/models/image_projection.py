"""The picture itself, projected onto the part of the surface that its camera sees.

A point takes the picture's colour with a weight in [0, 1], the field's with the rest. The weight is zero for what the
camera does not see, and falls smoothly where the picture says little about the surface or is a little off it: at
grazing angles, at the object's outline, and where one part of the object hides another.
"""

import cv2
import numpy as np
from jaxtyping import Float
from scipy import ndimage

from threestudio.mesh.mesh import Mesh
from threestudio.models.reference_view import FirstHits, ReferenceView

FADE_COSINES = (0.05, 0.2)  # between normal and view: no picture below the first, picture alone above the second
OUTLINE_MARGINS = (0.0, 0.004)  # the same for the distance to an outline, as fractions of the picture's height
DEPTH_JUMP = 0.04  # neighbouring pixels this far apart, as a fraction of the object, belong to different parts
DEPTH_MAP_HEIGHT = 256
# The field was fitted to the picture: larger differences are misalignments, and would spoil the unseen side.
LARGEST_GAIN = 1.2
LARGEST_SHIFT = 0.1


def project_picture(
    albedo: Float[np.ndarray, "point 3"],
    mesh: Mesh,
    positions: Float[np.ndarray, "point 3"],
    normals: Float[np.ndarray, "point 3"],
    view: ReferenceView,
    match_colors: bool,
) -> Float[np.ndarray, "point 3"]:
    """The field's albedo at points of the surface, with the picture on the part that it shows.

    With `match_colors`, the field's colours are first brought to the mean and contrast of the picture it was fitted
    to, channel by channel, as measured where both are known, so that no step shows where one fades into the other.
    """
    colors, weight = picture_on_surface(mesh, positions, normals, view)
    if match_colors:
        fitted = colors if view.fitted is None else _colors_at(view.fitted, view, positions)
        albedo = _with_matching_statistics(albedo, fitted, weight)
    return (1.0 - weight) * albedo + weight * colors


def picture_on_surface(
    mesh: Mesh, positions: Float[np.ndarray, "point 3"], normals: Float[np.ndarray, "point 3"], view: ReferenceView
) -> tuple[Float[np.ndarray, "point 3"], Float[np.ndarray, "point 1"]]:
    """The picture's colour at points of the surface, and how far to trust it, in [0, 1]."""
    colors, weight = np.zeros((len(positions), 3)), np.zeros((len(positions), 1))
    towards_camera = view.c2w[:3, 3] - positions
    distance = np.linalg.norm(towards_camera, axis=1, keepdims=True)
    unit_normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    cosine = (unit_normals * towards_camera / distance).sum(axis=1)
    height, width = view.rgba.shape[:2]
    row, column = view.pixels(positions, height, width)
    inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    facing = np.flatnonzero((cosine > FADE_COSINES[0]) & inside)
    hits = FirstHits(mesh, view)
    seen = facing[hits.sees(positions[facing])]
    colors[seen] = _colors_at(view.rgba, view, positions[seen])
    opaque = _sample(view.rgba[..., 3:], row[seen], column[seen]) > 0.5
    certainty = _sample(_distance_weight(hits, view)[..., None], row[seen], column[seen])
    weight[seen] = certainty * _smoothstep(cosine[seen, None], *FADE_COSINES) * opaque
    return colors, weight


def _colors_at(
    rgba: Float[np.ndarray, "h w 4"], view: ReferenceView, positions: Float[np.ndarray, "point 3"]
) -> Float[np.ndarray, "point 3"]:
    """Of a picture from the view's camera, where the points fall; without the background that surrounds them."""
    row, column = view.pixels(positions, *rgba.shape[:2])
    sampled = _sample(_premultiplied(rgba), row, column)
    return sampled[:, :3] / np.maximum(sampled[:, 3:], 1e-6)


def _distance_weight(hits: FirstHits, view: ReferenceView) -> Float[np.ndarray, "h w"]:
    """From 0 at an outline, of the picture's mask or in the mesh's depth, to 1 away from all."""
    height, width = view.rgba.shape[:2]
    outline = _outline_in_depth(hits, view)
    mask = np.pad(view.rgba[..., 3] > 0.5, 1)
    from_mask = ndimage.distance_transform_edt(mask)[1:-1, 1:-1]
    from_depth = ndimage.distance_transform_edt(~outline) * height / outline.shape[0]
    enlarged = cv2.resize(from_depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return _smoothstep(np.minimum(from_mask, enlarged) / height, *OUTLINE_MARGINS)


def _outline_in_depth(hits: FirstHits, view: ReferenceView):
    """Pixels of the depth map whose neighbours lie on another part of the object, or beside it."""
    height = DEPTH_MAP_HEIGHT
    width = round(height * view.rgba.shape[1] / view.rgba.shape[0])
    depth = hits.depth_map(height, width)
    depth = np.where(np.isfinite(depth), depth, 1e6)
    outline = ndimage.maximum_filter(depth, 3) - ndimage.minimum_filter(depth, 3) > DEPTH_JUMP * hits.extent
    # Without any outline the distance to it would be undefined.
    outline[[0, -1]] = outline[:, [0, -1]] = True
    return outline


def _with_matching_statistics(albedo, colors, weight) -> Float[np.ndarray, "point 3"]:
    """Mean and standard deviation rather than least squares: its slope would shrink with every misalignment."""
    if weight.sum() < 1.0:
        return albedo
    share = weight / weight.sum()
    mean, wanted_mean = (share * albedo).sum(axis=0), (share * colors).sum(axis=0)
    spread, wanted_spread = (
        np.sqrt((share * (values - centre) ** 2).sum(axis=0))
        for values, centre in ((albedo, mean), (colors, wanted_mean))
    )
    gain = np.clip(wanted_spread / np.maximum(spread, 1e-3), 1.0 / LARGEST_GAIN, LARGEST_GAIN)
    shift = np.clip(wanted_mean - mean, -LARGEST_SHIFT, LARGEST_SHIFT)
    return np.clip((albedo - mean) * gain + mean + shift, 0.0, 1.0)


def _premultiplied(rgba: Float[np.ndarray, "h w 4"]) -> Float[np.ndarray, "h w 4"]:
    return np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=-1)


def _sample(image: Float[np.ndarray, "h w c"], row, column) -> Float[np.ndarray, "point c"]:
    channels = [
        ndimage.map_coordinates(image[..., channel], [row, column], order=1, mode="nearest")
        for channel in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def _smoothstep(value, low: float, high: float):
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
