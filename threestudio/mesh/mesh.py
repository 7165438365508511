"""Triangle meshes in world coordinates (z up), counter-clockwise seen from outside.

`Mesh` is the bare surface; `TexturedMesh` adds an atlas. Positions and texture coordinates have separate face lists,
so that a vertex on a chart border keeps one position but has one texture coordinate for each chart.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in world axes, perhaps with colours at its vertices."""

    positions: Float[np.ndarray, "vertex 3"]
    faces: Int[np.ndarray, "face 3"]
    colors: Float[np.ndarray, "vertex 3"] | None = None  # in [0, 1]
    paired: bool = False  # faces 2k and 2k + 1 are the halves (a b c) and (a c d) of a quadrilateral

    @property
    def normals(self) -> Float[np.ndarray, "vertex 3"]:
        """Unit vertex normals: the mean of the adjacent faces, weighted by area. A vertex without area points up."""
        corners = self.positions[self.faces]
        twice_area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        summed = np.zeros(self.positions.shape)
        for corner in range(3):
            np.add.at(summed, self.faces[:, corner], twice_area)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        return np.where(length > 1e-20, summed / np.maximum(length, 1e-20), [0.0, 0.0, 1.0])

    def to_trimesh(self) -> trimesh.Trimesh:
        return trimesh.Trimesh(self.positions, self.faces, process=False)


@dataclass(frozen=True)
class TexturedMesh:
    """A surface with texture coordinates and, if baked, its albedo image.

    `uv` lies in [0, 1] with v upwards, as in OBJ: the image's row 0 is at v = 1. `uv_faces` lists the same faces in the
    same order as `mesh.faces`; `uv_vertices` gives the position that each texture coordinate belongs to.
    """

    mesh: Mesh
    uv: Float[np.ndarray, "corner 2"]
    uv_faces: Int[np.ndarray, "face 3"]
    uv_vertices: Int[np.ndarray, "corner"]
    albedo: UInt8[np.ndarray, "h w 3"] | None = None
