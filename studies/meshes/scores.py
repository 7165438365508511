"""A mesh against the true object: novel-view PSNR and mask IoU, and Chamfer distance.

The object spans 1 along its largest side, z up, front towards +x. Its light stays where it is while the camera moves,
so a result, whose texture carries the picture's light, is rendered without any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import trimesh
from cascade_zero123.training.psnr import psnr
from cascade_zero123.zero123.white import on_white
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from scipy.spatial import KDTree
from torch import Tensor

from threestudio import cameras
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.renderer import render_mesh

FOVY_DEG, DISTANCE = 20.0, 3.8  # as the bundled model was trained
SOURCE_ELEVATION_DEG, SOURCE_AZIMUTH_DEG, SOURCE_SIZE = 10.0, 0.0, 512
_source_elevation_deg = SOURCE_ELEVATION_DEG
NOVEL_AZIMUTHS_DEG, NOVEL_ELEVATIONS_DEG, NOVEL_SIZE = range(0, 360, 45), (0, 30), 128
SURFACE_SAMPLES = 10_000
ESCAPE_DIRECTIONS = 48

Views = UInt8[ndarray, "view h w 4"]


@dataclass(frozen=True)
class Truth:
    """An object and the azimuth of its light; None renders it unshaded."""

    mesh: trimesh.Trimesh | trimesh.Scene
    light_azimuth_deg: float | None = None

    @cached_property
    def picture(self) -> UInt8[ndarray, "h w 4"]:
        """What the methods are given; straight alpha."""
        return self._render(source_camera(), SOURCE_SIZE)[0]

    @cached_property
    def picture_from_behind(self) -> UInt8[ndarray, "h w 4"]:
        """A second one, for the method that is given it."""
        return self._render(_orbit([SOURCE_ELEVATION_DEG], [SOURCE_AZIMUTH_DEG + 180]), SOURCE_SIZE)[0]

    @cached_property
    def shape(self) -> trimesh.Trimesh:
        """The surface alone, in one piece."""
        parts = self.mesh.dump() if isinstance(self.mesh, trimesh.Scene) else [self.mesh]
        meshes = [part for part in parts if isinstance(part, trimesh.Trimesh)]
        joined = trimesh.util.concatenate([trimesh.Trimesh(one.vertices, one.faces, process=False) for one in meshes])
        assert isinstance(joined, trimesh.Trimesh)
        return joined

    @cached_property
    def views(self) -> Views:
        return self._render(novel_cameras(), NOVEL_SIZE)

    def _render(self, c2w: Float[Tensor, "view 4 4"], size: int) -> Views:
        if self.light_azimuth_deg is None:
            return render_mesh(self.mesh, c2w, FOVY_DEG, size, size)
        return render_mesh(
            self.mesh, c2w, FOVY_DEG, size, size, shading="diffuse", light_azimuth_deg=self.light_azimuth_deg
        )


def take_pictures_from(elevation_deg: float) -> None:
    """Of everything that follows: another elevation than the usual one."""
    global _source_elevation_deg
    _source_elevation_deg = elevation_deg


def source_elevation_deg() -> float:
    return _source_elevation_deg


def source_camera() -> Float[Tensor, "1 4 4"]:
    return _orbit([_source_elevation_deg], [SOURCE_AZIMUTH_DEG])


def novel_cameras() -> Float[Tensor, "view 4 4"]:
    """Ring by ring; none is the source's."""
    azimuths = list(NOVEL_AZIMUTHS_DEG) * len(NOVEL_ELEVATIONS_DEG)
    return _orbit(np.repeat(NOVEL_ELEVATIONS_DEG, len(NOVEL_AZIMUTHS_DEG)).tolist(), azimuths)


def _orbit(elevations_deg: Sequence[float], azimuths_deg: Sequence[float]) -> Float[Tensor, "view 4 4"]:
    elevation, azimuth = torch.tensor([elevations_deg, azimuths_deg], dtype=torch.float64)
    return cameras.orbit(elevation, azimuth, torch.full_like(azimuth, DISTANCE))


def novel_views(mesh: trimesh.Trimesh) -> Views:
    return render_mesh(mesh, novel_cameras(), FOVY_DEG, NOVEL_SIZE, NOVEL_SIZE)


def score(mesh: trimesh.Trimesh, truth: Truth) -> dict[str, float]:
    """PSNR in dB on white and mask IoU, means over the novel views; Chamfer distance in world units."""
    views = novel_views(mesh)
    return {
        "psnr": float(psnr(as_tensors(views), as_tensors(truth.views)).mean()),
        "mask_iou": float(mask_iou(views, truth.views).mean()),
        "chamfer": chamfer(mesh, truth.shape),
    }


def picture_score(mesh: trimesh.Trimesh, view: ReferenceView, size: int = SOURCE_SIZE) -> dict[str, float]:
    """From the picture's own camera, where all is known: IoU of the masks, and PSNR in dB on white."""
    seen = render_mesh(mesh, torch.as_tensor(view.c2w)[None], view.fovy_deg, size, size)
    picture = Image.fromarray(np.rint(view.rgba * 255).astype(np.uint8)).resize((size, size), Image.Resampling.LANCZOS)
    wanted = np.array(picture)[None]
    return {
        "outline_iou": float(mask_iou(seen, wanted)[0]),
        "picture_psnr": float(psnr(as_tensors(seen), as_tensors(wanted))[0]),
    }


def as_tensors(views: Views) -> Float[Tensor, "view 3 h w"]:
    """On white, in [0, 1]."""
    return on_white(torch.from_numpy(views).movedim(-1, 1).double() / 255)


def mask_iou(views: Views, true_views: Views) -> Float[ndarray, "view"]:
    masks, true_masks = views[..., 3] > 127, true_views[..., 3] > 127
    union = (masks | true_masks).sum(axis=(1, 2))
    return np.where(union > 0, (masks & true_masks).sum(axis=(1, 2)) / np.maximum(union, 1), 1.0)


def chamfer(mesh: trimesh.Trimesh, true_mesh: trimesh.Trimesh, seed: int = 0) -> float:
    """Mean of the two mean distances from samples of one outside to the nearest of the other; true largest side = 1."""
    points, true_points = outside_samples(mesh, seed), outside_samples(true_mesh, seed + 1)
    there, _ = KDTree(true_points).query(points)
    back, _ = KDTree(points).query(true_points)
    return float(0.5 * (there.mean() + back.mean()) / true_mesh.extents.max())


def outside_samples(mesh: trimesh.Trimesh, seed: int) -> Float[ndarray, "point 3"]:
    """At most `SURFACE_SAMPLES` points, uniform on the surface from which some direction leads out of the object.

    Objects are put together from parts that overlap: what lies inside is no part of their shape.
    """
    points, _ = trimesh.sample.sample_surface(mesh, 3 * SURFACE_SAMPLES, seed=seed)
    points, hidden = np.asarray(points), np.arange(3 * SURFACE_SAMPLES)
    outside = np.ones(len(points), bool)
    step = 1e-4 * mesh.extents.max()
    for direction in _directions(ESCAPE_DIRECTIONS):
        towards = np.broadcast_to(direction, (len(hidden), 3))
        hidden = hidden[mesh.ray.intersects_any(points[hidden] + step * towards, towards)]
        if not len(hidden):
            break
    outside[hidden] = False
    return points[outside][:SURFACE_SAMPLES]


def _directions(count: int) -> Float[ndarray, "direction 3"]:
    """Evenly over the sphere (Fibonacci's spiral), opposite ones soon after each other."""
    z = 1 - 2 * (np.arange(count) + 0.5) / count
    angle = np.pi * (3 - 5**0.5) * np.arange(count)
    radius = np.sqrt(1 - z**2)
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    return directions[np.arange(count) * 19 % count]
