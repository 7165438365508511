"""The even, closed surface of a solid on a grid: surface nets (Gibson 1998) of a well-composed set (Latecki 1997).

Each cell that has corners inside and outside gets a vertex in the middle of where its edges cross the surface, each
grid edge that crosses the surface a quadrilateral of the four cells around it. The mesh has the connectivity of the
boundary of the voxels around the samples, which is a closed 2-manifold exactly where no two samples of the solid (and
no two outside it) meet in a grid edge or a corner alone; samples are moved across the surface until that holds. So
nothing has to be mended in the mesh, and its triangles are about equal.
"""

import itertools

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from threestudio.mesh.mesh import Mesh

BARELY = 1e-3  # what a sample that changes sides becomes


def surface_nets(values: Float[np.ndarray, "x y z"]) -> Mesh:
    """Of {values > 0}, in units of samples; what lies at the border of the grid is closed there.

    Faces are counter-clockwise seen from outside. Empty where no sample is inside.
    """
    values = well_composed(np.pad(values, 1, constant_values=-1.0))
    inside = values > 0
    number = np.full(np.array(values.shape) - 1, -1, dtype=np.int64)
    mixed = mixed_cells(inside)
    number[mixed] = np.arange(np.count_nonzero(mixed))
    return Mesh(_vertices(values, mixed) - 1.0, _faces(inside, number))


def well_composed(values: Float[np.ndarray, "x y z"]) -> Float[np.ndarray, "x y z"]:
    """The same samples, but no two on one side of the surface that touch in a grid edge or a corner alone.

    Offending samples outside are taken inside: a thin part gains, where it would otherwise hang by a corner.
    """
    values = values.copy()
    while True:
        wrong = _touching_alone(values > 0)
        if not wrong.any():
            return values
        values[wrong] = BARELY


def _touching_alone(inside: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """Samples outside to be taken in."""
    wrong = np.zeros_like(inside)
    for one, other in itertools.combinations(range(3), 2):
        a, b, c, d = _squares(inside, one, other)
        for diagonal in ((a & d & ~b & ~c), (b & c & ~a & ~d)):
            for part in _squares(wrong, one, other):
                part |= diagonal
    wrong &= ~inside
    if not wrong.any():
        wrong = _corner_contacts(inside)
    return wrong


def _squares(values: np.ndarray, one: int, other: int) -> list[np.ndarray]:
    """Views of the four samples of every square across two axes: (0 0), (0 1), (1 0), (1 1)."""
    views = []
    for i, j in itertools.product((0, 1), repeat=2):
        index = [slice(None)] * 3
        index[one], index[other] = slice(i, i - 1 or None), slice(j, j - 1 or None)
        views.append(values[tuple(index)])
    return views


def _corner_contacts(inside: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """Cells in which two opposite corners alone are on one side: their samples outside."""
    corners = _corners(inside)
    count = sum(corner.astype(np.int8) for corner in corners)
    wrong = np.zeros_like(inside)
    for low in range(4):
        both, neither = corners[low] & corners[7 - low], ~corners[low] & ~corners[7 - low]
        contact = (both & (count == 2)) | (neither & (count == 6))
        for part in _corners(wrong):
            part |= contact
    return wrong & ~inside


def _corners(values: np.ndarray) -> list[np.ndarray]:
    """Views of the eight samples of every cell."""
    return [values[x : x - 1 or None, y : y - 1 or None, z : z - 1 or None] for x, y, z in np.ndindex(2, 2, 2)]


def mixed_cells(inside: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "cell_x cell_y cell_z"]:
    """Cells with corners on both sides."""
    corners = _corners(inside)
    return np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)


def _vertices(values: Float[np.ndarray, "x y z"], mixed) -> Float[np.ndarray, "vertex 3"]:
    """The mean of the points where the edges of a cell cross the surface, by linear interpolation."""
    cell = np.argwhere(mixed)
    total, count = np.zeros(cell.shape), np.zeros((len(cell), 1))
    for axis in range(3):
        for beside in itertools.product((0, 1), repeat=2):
            start = cell.copy()
            start[:, [other for other in range(3) if other != axis]] += beside
            end = start.copy()
            end[:, axis] += 1
            first, second = values[tuple(start.T)], values[tuple(end.T)]
            crosses = (first > 0) != (second > 0)
            point = start.astype(np.float64)
            point[:, axis] += np.where(crosses, first / np.where(crosses, first - second, 1.0), 0.0)
            total += crosses[:, None] * point
            count += crosses[:, None]
    return total / count


def _faces(inside: Bool[np.ndarray, "x y z"], number) -> Int[np.ndarray, "face 3"]:
    """Two for each grid edge that crosses the surface."""
    quads = []
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        leaving = np.diff(inside.astype(np.int8), axis=axis)
        edge = np.argwhere(leaving != 0)
        around = []
        for i, j in ((-1, -1), (0, -1), (0, 0), (-1, 0)):  # counter-clockwise seen from along the axis
            cell = edge.copy()
            cell[:, one] += i
            cell[:, other] += j
            around.append(number[tuple(cell.T)])
        quad = np.stack(around, axis=1)
        outwards = leaving[tuple(edge.T)] < 0  # from inside to outside along the axis
        quads.append(np.where(outwards[:, None], quad, quad[:, ::-1]))
    quad = np.concatenate(quads)
    return np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])


def labelled(inside: Bool[np.ndarray, "x y z"]) -> Int[np.ndarray, "x y z"]:
    """Its connected parts, from 1 on; 0 outside."""
    return ndimage.label(inside)[0]
