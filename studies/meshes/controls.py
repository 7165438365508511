"""What any method has to beat, made from the picture and its mask alone: a flat card, and an inflated silhouette.

Both are sheets over the mask in the plane through the origin that faces the camera, raised in front of it and behind
it alike. The front carries the picture as its camera projects it; the back is the front's mirror image.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from PIL import Image
from scipy import sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from threestudio import cameras
from threestudio.mesh.atlas import pad
from threestudio.mesh.mesh import Mesh, TexturedMesh

CELLS = 256  # of the sheets, along the picture's side


def card(
    picture: UInt8[ndarray, "side side 4"], c2w: Float[Tensor, "4 4"], fovy_deg: float, cells: int = CELLS
) -> TexturedMesh:
    """The picture cut out along its mask, without thickness."""
    inside = mask_cells(picture, cells)
    return two_sheets(picture, inside, np.zeros((cells + 1, cells + 1)), c2w, fovy_deg)


def inflated(
    picture: UInt8[ndarray, "side side 4"], c2w: Float[Tensor, "4 4"], fovy_deg: float, cells: int = CELLS
) -> TexturedMesh:
    """The mask blown up like a balloon, as thick behind the plane as before it."""
    inside = mask_cells(picture, cells)
    cell = float(c2w[:3, 3].norm()) * cameras.pixel_size(fovy_deg, cells)
    return two_sheets(picture, inside, cell * inflation(inside), c2w, fovy_deg)


def mask_cells(picture: UInt8[ndarray, "side side 4"], cells: int) -> Bool[ndarray, "cell cell"]:
    alpha = Image.fromarray(picture[..., 3]).resize((cells, cells), Image.Resampling.BOX)
    return np.asarray(alpha) > 127


def inflation(inside: Bool[ndarray, "row column"]) -> Float[ndarray, "corner_row corner_column"]:
    """Half thickness at the cells' corners, in cells: sqrt(f), where f'' = -4 inside and f = 0 at the outline.

    A disc becomes a ball.
    """
    around = np.pad(inside, 1)
    free = around[:-1, :-1] & around[:-1, 1:] & around[1:, :-1] & around[1:, 1:]
    number = np.where(free, np.cumsum(free).reshape(free.shape) - 1, -1)
    pairs = [(number[:-1], number[1:]), (number[:, :-1], number[:, 1:])]
    links = np.concatenate([np.stack([a[(a >= 0) & (b >= 0)], b[(a >= 0) & (b >= 0)]]) for a, b in pairs], axis=1)
    count = int(free.sum())
    adjacency = sparse.coo_matrix((np.ones(links.shape[1]), tuple(links)), shape=(count, count)).tocsr()
    laplacian = 4 * sparse.identity(count, format="csr") - adjacency - adjacency.T
    squared = np.zeros(free.shape)
    if count:
        squared[free] = spsolve(laplacian.tocsc(), np.full(count, 4.0))
    return np.sqrt(np.maximum(squared, 0.0))


def two_sheets(
    picture: UInt8[ndarray, "side side 4"],
    inside: Bool[ndarray, "cell cell"],
    depth: Float[ndarray, "corner corner"],
    c2w: Float[Tensor, "4 4"],
    fovy_deg: float,
) -> TexturedMesh:
    """Front and back at `depth`, in world units, before and behind the plane."""
    used, quads = used_corners(inside)
    points = plane_points(c2w, fovy_deg, len(inside)).reshape(-1, 3)[used]
    towards_camera = depth.reshape(-1, 1)[used] * c2w[:3, 2].numpy()
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = np.concatenate([faces, faces[:, ::-1] + len(used)])
    surface = Mesh(np.concatenate([points + towards_camera, points - towards_camera]), faces)
    uv = np.tile(projected(points + towards_camera, c2w, fovy_deg), (2, 1))
    colors = pad(picture[..., :3].astype(np.float64), picture[..., 3] > 127)
    return TexturedMesh(surface, uv, faces, np.arange(len(uv)), colors.astype(np.uint8))


def plane_points(c2w: Float[Tensor, "4 4"], fovy_deg: float, cells: int) -> Float[ndarray, "corner corner 3"]:
    """Where the corners of the picture's cells lie in the plane through the origin."""
    # Pixel centres of a picture that is larger by half a cell on each side are the corners of this one.
    wider = c2w.new_tensor([cameras.widened(fovy_deg, (cells + 1) / cells)])
    origins, directions = cameras.rays(c2w[None], wider, cells + 1, cells + 1, normalize=False)
    return (origins + c2w[:3, 3].norm() * directions)[0].numpy()


def projected(
    points: Float[ndarray, "point 3"], c2w: Float[Tensor, "4 4"], fovy_deg: float
) -> Float[ndarray, "point 2"]:
    """Texture coordinates in the picture, v upwards."""
    seen = cameras.projection(c2w.new_tensor([fovy_deg]), 1.0, 0.01, 100.0)
    to_clip = cameras.world_to_clip(c2w[None], seen)[0].numpy()
    clip = points @ to_clip[:, :3].T + to_clip[:, 3]
    return 0.5 + 0.5 * clip[:, :2] / clip[:, 3:]


def used_corners(inside: Bool[ndarray, "cell cell"]) -> tuple[Int[ndarray, "vertex"], Int[ndarray, "quad 4"]]:
    """Flat indices of the corners of all cells inside, and the cells' corners among them, counter-clockwise."""
    row, column = np.nonzero(inside)
    corner = row * (len(inside) + 1) + column
    below = corner + len(inside) + 1
    used, quads = np.unique(np.stack([corner, below, below + 1, corner + 1], axis=1), return_inverse=True)
    return used, quads.reshape(-1, 4)
