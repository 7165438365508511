"""World, camera axes, angles and rays: the only statement of the conventions, and the only code that converts them.

World: right-handed, z up. Azimuth runs from +x towards +y, elevation from the xy plane towards +z; both in degrees,
so azimuth 0, elevation 0 looks at the origin from +x. Camera: OpenGL axes (x right, y up, looking along -z).
Pixels: row 0 is the top, centres lie at +0.5. glTF: y up; the source view (+x) becomes glTF's front (+z). For printing:
z up, the source view becomes the front (-y).

The Zero-1-to-3 pose token belongs to the extension (`zero123/pose.py`), which has to run in a host without this file.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

UP = torch.tensor([0.0, 0.0, 1.0])
# Rows are glTF's axes in world coordinates: x = world y, y = world z, z = world x.
GLTF_FROM_WORLD = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
# The same for slicers and for Blender's importers of PLY and STL: z up, the front towards -y.
STANDING_FROM_WORLD = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


def camera_positions(
    elevation_deg: Float[Tensor, "view"],
    azimuth_deg: Float[Tensor, "view"],
    distance: Float[Tensor, "view"],
) -> Float[Tensor, "view 3"]:
    """Spherical to Cartesian; `distance` is to the origin, in world units."""
    elevation, azimuth = torch.deg2rad(elevation_deg), torch.deg2rad(azimuth_deg)
    return torch.stack(
        [
            distance * elevation.cos() * azimuth.cos(),
            distance * elevation.cos() * azimuth.sin(),
            distance * elevation.sin(),
        ],
        dim=-1,
    )


def look_at(
    position: Float[Tensor, "view 3"],
    target: Float[Tensor, "view 3"],
    up: Float[Tensor, "view 3"],
) -> Float[Tensor, "view 4 4"]:
    """Camera-to-world matrices. Looking straight along `up`, the camera's right is taken along +y."""
    forward = F.normalize(target - position, dim=-1)
    right = torch.linalg.cross(forward, up)
    along_up = right.norm(dim=-1, keepdim=True) < 1e-6
    right = torch.where(along_up, right.new_tensor([0.0, 1.0, 0.0]), F.normalize(right, dim=-1))
    true_up = torch.linalg.cross(right, forward)
    c2w = torch.eye(4, dtype=position.dtype, device=position.device).repeat(len(position), 1, 1)
    c2w[:, :3] = torch.stack([right, true_up, -forward, position], dim=-1)
    return c2w


def orbit(
    elevation_deg: Float[Tensor, "view"],
    azimuth_deg: Float[Tensor, "view"],
    distance: Float[Tensor, "view"],
) -> Float[Tensor, "view 4 4"]:
    """Camera-to-world matrices of cameras that look at the origin with z up."""
    position = camera_positions(elevation_deg, azimuth_deg, distance)
    return look_at(position, torch.zeros_like(position), UP.to(position).expand_as(position))


def pixel_directions(
    height: int, width: int, focal: tuple[float, float], principal: tuple[float, float], centre: float = 0.5
) -> Float[Tensor, "h w 3"]:
    """In camera axes, of depth 1; all in pixels, (x, y). `centre` is where in a pixel the ray passes."""
    y, x = torch.meshgrid(torch.arange(height) + centre, torch.arange(width) + centre, indexing="ij")
    (fx, fy), (cx, cy) = focal, principal
    return torch.stack([(x - cx) / fx, (cy - y) / fy, -torch.ones_like(x)], dim=-1)


def rays(
    c2w: Float[Tensor, "view 4 4"],
    fovy_deg: Float[Tensor, "view"],
    height: int,
    width: int,
    normalize: bool = True,
) -> tuple[Float[Tensor, "view h w 3"], Float[Tensor, "view h w 3"]]:
    """Origins and directions through the pixel centres; `fovy_deg` is the vertical field of view.

    Directions have length 1, or without `normalize` depth 1 along the camera's axis.
    """
    focal = 0.5 * height / torch.tan(0.5 * torch.deg2rad(fovy_deg))
    at_focal_1 = pixel_directions(height, width, (1.0, 1.0), (0.5 * width, 0.5 * height)).to(c2w)
    in_plane = at_focal_1[..., :2] / focal[:, None, None, None]
    directions = torch.cat([in_plane, at_focal_1[..., 2:].expand_as(in_plane[..., :1])], dim=-1)
    directions = torch.einsum("vij,vhwj->vhwi", c2w[:, :3, :3], directions)
    if normalize:
        directions = F.normalize(directions, dim=-1)
    return c2w[:, None, None, :3, 3].expand_as(directions), directions


def projection(fovy_deg: Float[Tensor, "view"], aspect: float, near: float, far: float) -> Float[Tensor, "view 4 4"]:
    """OpenGL perspective matrices; `aspect` = width / height."""
    matrix = fovy_deg.new_zeros(len(fovy_deg), 4, 4)
    matrix[:, 1, 1] = 1.0 / torch.tan(0.5 * torch.deg2rad(fovy_deg))
    matrix[:, 0, 0] = matrix[:, 1, 1] / aspect
    matrix[:, 2, 2] = -(far + near) / (far - near)
    matrix[:, 2, 3] = -2.0 * far * near / (far - near)
    matrix[:, 3, 2] = -1.0
    return matrix


def rows_downwards(projection_matrix: Float[Tensor, "view 4 4"]) -> Float[Tensor, "view 4 4"]:
    """The same with y downwards: rasterisers fill a picture from its last row, where OpenGL has its origin."""
    return projection_matrix * projection_matrix.new_tensor([1.0, -1.0, 1.0, 1.0])[:, None]


def pixel_size(fovy_deg: float, height: int) -> float:
    """Side of a pixel at distance 1, in world units, of a picture of `height` pixels."""
    return 2.0 * math.tan(0.5 * math.radians(fovy_deg)) / height


def widened(fovy_deg: float, factor: float) -> float:
    """The field of view of a picture that is `factor` times as high, of pixels of the same size."""
    return math.degrees(2.0 * math.atan(math.tan(0.5 * math.radians(fovy_deg)) * factor))


def sphere_height(elevation_deg: float) -> float:
    """The z of a unit sphere's points at an elevation: uniform in it is uniform on the sphere."""
    return math.sin(math.radians(elevation_deg))


def elevation_deg_at(height: Float[Tensor, "view"]) -> Float[Tensor, "view"]:
    """The inverse of `sphere_height`."""
    return torch.rad2deg(torch.asin(height))


def world_to_clip(
    c2w: Float[Tensor, "view 4 4"], projection_matrix: Float[Tensor, "view 4 4"]
) -> Float[Tensor, "view 4 4"]:
    """World to clip coordinates (upstream's `mvp_mtx`, which has rows downwards)."""
    return projection_matrix @ torch.linalg.inv(c2w)


def gltf_from_world(points: Float[Tensor, "*point 3"]) -> Float[Tensor, "*point 3"]:
    """World (z up) to glTF (y up) axes: a rotation, so that lengths and winding stay."""
    return points @ points.new_tensor(GLTF_FROM_WORLD).T


def standing_from_world(points: Float[Tensor, "*point 3"]) -> Float[Tensor, "*point 3"]:
    """World axes to those of a thing on a table, whose front one stands before: a rotation too."""
    return points @ points.new_tensor(STANDING_FROM_WORLD).T


def world_from_gltf(points: Float[Tensor, "*point 3"]) -> Float[Tensor, "*point 3"]:
    """The inverse of `gltf_from_world`."""
    return points @ points.new_tensor(GLTF_FROM_WORLD)
