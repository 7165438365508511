"""The picture itself, projected onto the part of the surface that its camera sees.

A point takes the picture's colour with a weight in [0, 1], the field's with the rest. The weight is zero for what the
camera does not see, and falls smoothly where the picture says little about the surface or is a little off it: at
grazing angles, at the object's outline, and where one part of the object hides another.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import trimesh
from jaxtyping import Float
from scipy import ndimage

from threestudio import cameras
from threestudio.models.mesh import Mesh

FADE_COSINES = (0.1, 0.35)  # between normal and view: no picture below the first, picture alone above the second
OUTLINE_MARGINS = (0.005, 0.018)  # the same for the distance to an outline, as fractions of the picture's height
DEPTH_JUMP = 0.04  # neighbouring pixels this far apart, as a fraction of the object, belong to different parts
VISIBLE_WITHIN = 0.004  # how far behind the first hit a point still counts as seen, as a fraction of the object
DEPTH_MAP_HEIGHT = 256
# The field was trained on this very picture: larger differences are misalignments, and would spoil the unseen side.
LARGEST_GAIN = 1.2
LARGEST_SHIFT = 0.1


@dataclass(frozen=True)
class ReferenceView:
    """A picture with straight alpha and the camera that took it."""

    rgba: Float[np.ndarray, "h w 4"]  # in [0, 1]
    c2w: Float[np.ndarray, "4 4"]
    fovy_deg: float


def project_picture(
    albedo: Float[np.ndarray, "point 3"],
    mesh: Mesh,
    positions: Float[np.ndarray, "point 3"],
    normals: Float[np.ndarray, "point 3"],
    view: ReferenceView,
    match_colors: bool,
) -> Float[np.ndarray, "point 3"]:
    """The field's albedo at points of the surface, with the picture on the part that it shows.

    With `match_colors`, the field's colours are first brought to the picture's mean and contrast, channel by channel,
    as measured where both are known, so that no step shows where one fades into the other.
    """
    colors, weight = picture_on_surface(mesh, positions, normals, view)
    if match_colors:
        albedo = _with_matching_statistics(albedo, colors, weight)
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
    row, column = _pixels(positions, view)
    height, width = view.rgba.shape[:2]
    inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    facing = np.flatnonzero((cosine > FADE_COSINES[0]) & inside)
    caster = _Caster(mesh, view)
    seen = facing[caster.sees(positions[facing])]
    rgba = _sample(_premultiplied(view.rgba), row[seen], column[seen])
    colors[seen] = rgba[:, :3] / np.maximum(rgba[:, 3:], 1e-6)
    certainty = _sample(_distance_weight(caster, view)[..., None], row[seen], column[seen])
    weight[seen] = certainty * _smoothstep(cosine[seen, None], *FADE_COSINES) * (rgba[:, 3:] > 0.5)
    return colors, weight


class _Caster:
    """First hits of the reference camera's rays."""

    def __init__(self, mesh: Mesh, view: ReferenceView):
        self.surface = mesh.to_trimesh()
        self.intersector = trimesh.ray.ray_pyembree.RayMeshIntersector(self.surface)
        self.origin = np.asarray(view.c2w[:3, 3], dtype=np.float64)
        self.extent = float(np.linalg.norm(np.ptp(mesh.positions, axis=0)))

    def depth(self, directions: Float[np.ndarray, "ray 3"]) -> Float[np.ndarray, "ray"]:
        """Distance to the first hit along unit directions; infinite for a miss."""
        origins = np.broadcast_to(self.origin, directions.shape)
        face = self.intersector.intersects_first(origins, directions)
        normal = self.surface.face_normals[face]
        corner = self.surface.triangles[face, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = ((corner - origins) * normal).sum(axis=1) / (directions * normal).sum(axis=1)
        return np.where((face >= 0) & np.isfinite(depth), depth, np.inf)

    def sees(self, positions: Float[np.ndarray, "point 3"]):
        offset = positions - self.origin
        distance = np.linalg.norm(offset, axis=1)
        return self.depth(offset / distance[:, None]) > distance - VISIBLE_WITHIN * self.extent


def _pixels(positions: Float[np.ndarray, "point 3"], view: ReferenceView):
    """Rows and columns in units of pixels, counted from the centre of the first one."""
    height, width = view.rgba.shape[:2]
    fovy = torch.deg2rad(torch.tensor([view.fovy_deg], dtype=torch.float64))
    projection = cameras.projection(fovy, width / height, 0.01, 100.0)
    to_clip = cameras.world_to_clip(torch.as_tensor(view.c2w, dtype=torch.float64)[None], projection)[0].numpy()
    clip = positions @ to_clip[:, :3].T + to_clip[:, 3]
    x, y = (clip[:, :2] / clip[:, 3:]).T
    return 0.5 * (1.0 - y) * height - 0.5, 0.5 * (1.0 + x) * width - 0.5


def _distance_weight(caster: _Caster, view: ReferenceView) -> Float[np.ndarray, "h w"]:
    """From 0 at an outline, of the picture's mask or in the mesh's depth, to 1 away from all."""
    height, width = view.rgba.shape[:2]
    outline = _outline_in_depth(caster, view)
    mask = np.pad(view.rgba[..., 3] > 0.5, 1)
    from_mask = ndimage.distance_transform_edt(mask)[1:-1, 1:-1]
    from_depth = ndimage.distance_transform_edt(~outline) * height / outline.shape[0]
    enlarged = cv2.resize(from_depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return _smoothstep(np.minimum(from_mask, enlarged) / height, *OUTLINE_MARGINS)


def _outline_in_depth(caster: _Caster, view: ReferenceView):
    """Pixels of the depth map whose neighbours lie on another part of the object, or beside it."""
    height = DEPTH_MAP_HEIGHT
    width = round(height * view.rgba.shape[1] / view.rgba.shape[0])
    c2w = torch.as_tensor(view.c2w, dtype=torch.float64)[None]
    fovy = torch.deg2rad(torch.tensor([view.fovy_deg], dtype=torch.float64))
    _, directions = cameras.rays(c2w, fovy, height, width)
    depth = caster.depth(directions.reshape(-1, 3).numpy()).reshape(height, width)
    depth = np.where(np.isfinite(depth), depth, 1e6)
    outline = ndimage.maximum_filter(depth, 3) - ndimage.minimum_filter(depth, 3) > DEPTH_JUMP * caster.extent
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
