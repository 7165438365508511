"""The source picture with its camera, and what that camera sees of a mesh."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float

from threestudio import cameras
from threestudio.mesh.mesh import Mesh

VISIBLE_WITHIN = 0.004  # how far behind the first hit a point still counts as seen, as a fraction of the object


@dataclass(frozen=True)
class ReferenceView:
    """A picture with straight alpha and the camera that took it; and `further` ones of the object, if there are any."""

    rgba: Float[np.ndarray, "h w 4"]  # in [0, 1]
    c2w: Float[np.ndarray, "4 4"]
    fovy_deg: float
    fitted: Float[np.ndarray, "h w 4"] | None = None  # what the field was fitted to, where that is another picture
    further: Sequence["ReferenceView"] = ()

    @property
    def all(self) -> "list[ReferenceView]":
        return [self, *self.further]

    def as_fitted(self) -> "ReferenceView":
        """With the pictures that the field was fitted to."""
        further = [view.as_fitted() for view in self.further]
        return replace(self, rgba=self.rgba if self.fitted is None else self.fitted, fitted=None, further=further)

    @property
    def origin(self) -> Float[np.ndarray, "3"]:
        return np.asarray(self.c2w[:3, 3], dtype=np.float64)

    def pixels(
        self, positions: Float[np.ndarray, "point 3"], height: int, width: int
    ) -> tuple[Float[np.ndarray, "point"], Float[np.ndarray, "point"]]:
        """Rows and columns in a picture of this size, in units of pixels, counted from the centre of the first one."""
        projection = cameras.projection(self._fovy_deg(), width / height, 0.01, 100.0)
        to_clip = cameras.world_to_clip(self._c2w(), projection)[0].numpy()
        clip = positions @ to_clip[:, :3].T + to_clip[:, 3]
        x, y = (clip[:, :2] / clip[:, 3:]).T
        return 0.5 * (1.0 - y) * height - 0.5, 0.5 * (1.0 + x) * width - 0.5

    def directions(self, height: int, width: int) -> Float[np.ndarray, "h w 3"]:
        """Of length 1, through the pixel centres of a picture of this size."""
        return cameras.rays(self._c2w(), self._fovy_deg(), height, width)[1][0].numpy()

    def _c2w(self) -> torch.Tensor:
        return torch.as_tensor(self.c2w, dtype=torch.float64)[None]

    def _fovy_deg(self) -> torch.Tensor:
        return torch.tensor([self.fovy_deg], dtype=torch.float64)


class FirstHits:
    """Where the reference camera's rays meet a mesh first."""

    def __init__(self, mesh: Mesh, view: ReferenceView) -> None:
        self.view, self.surface = view, mesh.to_trimesh()
        self.intersector = trimesh.ray.ray_pyembree.RayMeshIntersector(self.surface)
        self.extent = float(np.linalg.norm(np.ptp(mesh.positions, axis=0)))

    def depth(self, directions: Float[np.ndarray, "ray 3"]) -> Float[np.ndarray, "ray"]:
        """Distance to the first hit along unit directions; infinite for a miss."""
        origins = np.broadcast_to(self.view.origin, directions.shape)
        face = self.intersector.intersects_first(origins, directions)
        normal = self.surface.face_normals[face]
        corner = self.surface.triangles[face, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = ((corner - origins) * normal).sum(axis=1) / (directions * normal).sum(axis=1)
        return np.where((face >= 0) & np.isfinite(depth), depth, np.inf)

    def depth_map(self, height: int, width: int) -> Float[np.ndarray, "h w"]:
        return self.depth(self.view.directions(height, width).reshape(-1, 3)).reshape(height, width)

    def sees(self, positions: Float[np.ndarray, "point 3"]) -> Bool[np.ndarray, "point"]:
        offset = positions - self.view.origin
        distance = np.linalg.norm(offset, axis=1)
        return self.depth(offset / distance[:, None]) > distance - VISIBLE_WITHIN * self.extent
