"""Differentiable renderings of a closed triangle mesh on a CPU.

Inside the surface an image depends on the vertices through the barycentric coordinates of each pixel's ray, which are
computed again in torch for the face that Embree found. At an outline the image jumps; its derivative is an integral
along the outline of the jump, times the speed at which the outline moves across it (Li et al. 2018, Eq. 6), estimated
by points spread evenly over the edges between a face that looks at the camera and one that looks away. Each point asks
by one ray what lies beside it. Nothing is blurred: the forward image is the exact one.

A pixel's centre is at +0.5, x runs to the right and y downwards. Images hold attributes times coverage, and coverage as
the last channel, so that a background can be put behind them.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Bool, Float, Int
from torch import Tensor

from threestudio.cameras import pixel_size
from threestudio.mesh.topology import Topology

POINTS_PER_PIXEL = 2  # on an outline
ASIDE = 0.02  # pixels beside the edge at which its background is looked up
BEHIND = 1e-3  # relative depth by which a background lies behind the edge; nearer hits hide the edge


@dataclass(frozen=True)
class Camera:
    """Where a picture of `height` x `width` square pixels was taken; `fovy_deg` is vertical."""

    c2w: Float[Tensor, "4 4"]
    fovy_deg: float
    height: int
    width: int

    @cached_property
    def focal(self) -> float:
        """In pixels."""
        return 1.0 / pixel_size(self.fovy_deg, self.height)

    @cached_property
    def _w2c(self) -> Float[Tensor, "4 4"]:
        return torch.linalg.inv(self.c2w.double()).float()

    @cached_property
    def _axes(self) -> Float[np.ndarray, "3 3"]:
        return self.c2w[:3, :3].double().numpy()

    @cached_property
    def position(self) -> Float[np.ndarray, "3"]:
        return self.c2w[:3, 3].double().numpy()

    def in_axes(self, positions: Float[Tensor, "point 3"]) -> Float[Tensor, "point 3"]:
        """World to camera axes: the camera looks along -z."""
        return positions @ self._w2c[:3, :3].T + self._w2c[:3, 3]

    def project(self, in_axes: Float[Tensor, "*point 3"]) -> Float[Tensor, "*point 2"]:
        """Camera axes to pixels."""
        across = self.focal * in_axes[..., :2] / -in_axes[..., 2:]
        return across * across.new_tensor([1.0, -1.0]) + across.new_tensor([0.5 * self.width, 0.5 * self.height])

    def pixels_of(self, positions: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point 2"]:
        """Where points of the world fall, without a derivative."""
        return self.project(self.in_axes(torch.from_numpy(positions).float())).double().numpy()

    def directions(self, pixels: Float[np.ndarray, "ray 2"]) -> Float[np.ndarray, "ray 3"]:
        """World directions through pixels, of depth 1 along the camera's axis."""
        offset = (pixels - (0.5 * self.width, 0.5 * self.height)) / self.focal
        return np.stack([offset[:, 0], -offset[:, 1], -np.ones(len(offset))], axis=1) @ self._axes.T

    def pixel_centres(self, samples: int, low: Int[np.ndarray, "2"], high: Int[np.ndarray, "2"]):
        """Of `samples` squared to each pixel between two corners (x, y), the second excluded, row by row."""
        x, y = ((np.arange(int(a) * samples, int(b) * samples) + 0.5) / samples for a, b in zip(low, high, strict=True))
        return np.stack(np.meshgrid(x, y, indexing="xy"), axis=-1).reshape(-1, 2)


class PlacedMesh:
    """A mesh whose vertices stand somewhere: rendered from any number of cameras."""

    def __init__(self, positions: Float[Tensor, "vertex 3"], topology: Topology) -> None:
        self.positions, self.topology = positions, topology
        self._faces = torch.from_numpy(topology.faces)
        self._scene = rtcore_scene.EmbreeScene()
        vertices = np.ascontiguousarray(positions.detach().numpy(), dtype=np.float32)
        TriangleMesh(scene=self._scene, vertices=vertices, indices=topology.faces.astype(np.int32))

    def render(
        self, camera: Camera, attributes: Float[Tensor, "vertex c"] | None = None, samples: int = 1
    ) -> Float[Tensor, "h w k"]:
        """Attributes times coverage and, as the last channel, coverage; `samples` squared rays a pixel."""
        in_axes = camera.in_axes(self.positions)
        pixels = camera.project(in_axes)
        low, high = self._window(pixels, camera)
        points = camera.pixel_centres(samples, low, high)
        face, _ = self._first_hits(camera, points)
        values = self._interior(face, points, in_axes, attributes, camera)
        rows, columns = high[1] - low[1], high[0] - low[0]
        inside = values.view(rows, samples, columns, samples, -1).mean(dim=(1, 3))
        image = inside.new_zeros(camera.height, camera.width, inside.shape[-1])
        image[low[1] : high[1], low[0] : high[0]] = inside
        if not self.positions.requires_grad:
            return image
        return self._with_moving_outlines(image, in_axes, pixels, attributes, camera)

    def outline_coverage(self, camera: Camera, samples: int = 2) -> tuple[Int[Tensor, "pixel"], Float[Tensor, "pixel"]]:
        """Coverage of the pixels on an outline, which are the only ones through which it has a derivative.

        Pixels are numbered row by row. The square of its distance from a wanted coverage, summed, has the derivative
        that the whole image's has, for a small part of its rays.
        """
        in_axes = camera.in_axes(self.positions)
        pixels = camera.project(in_axes)
        outline = self._outline(pixels.detach().numpy(), -in_axes[:, 2].detach().numpy(), camera)
        outline = outline.where(outline.face_behind < 0)
        pixel, place = np.unique(outline.pixel, return_inverse=True)
        offset = (np.stack(np.meshgrid(*[np.arange(samples)] * 2), axis=-1).reshape(-1, 2) + 0.5) / samples
        corner = np.stack([pixel % camera.width, pixel // camera.width], axis=1)
        face, _ = self._first_hits(camera, (corner[:, None] + offset).reshape(-1, 2))
        covered = torch.from_numpy((face >= 0).reshape(-1, samples**2).mean(axis=1)).to(pixels)
        return torch.from_numpy(pixel), covered.index_add(0, torch.from_numpy(place), outline.swept(pixels))

    def _window(self, pixels: Float[Tensor, "vertex 2"], camera: Camera):
        """The corners (x, y) of the box of pixels that can see the mesh."""
        corners = torch.stack([pixels.amin(dim=0), pixels.amax(dim=0) + 1]).detach().numpy()
        low, high = np.clip(np.floor(corners), 0, (camera.width, camera.height)).astype(np.int64)
        return low, high

    def _first_hits(
        self, camera: Camera, pixels: Float[np.ndarray, "ray 2"]
    ) -> tuple[Int[np.ndarray, "ray"], Float[np.ndarray, "ray"]]:
        """The face that each ray meets first, or -1, and its depth, or infinity."""
        directions = np.ascontiguousarray(camera.directions(pixels), dtype=np.float32)
        origins = np.ascontiguousarray(np.broadcast_to(camera.position, directions.shape), dtype=np.float32)
        if not len(directions):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        hits = self._scene.run(origins, directions, output=True)
        face = hits["primID"].astype(np.int64)
        return face, np.where(face >= 0, hits["tfar"], np.inf)

    def _interior(
        self,
        face: Int[np.ndarray, "ray"],
        pixels: Float[np.ndarray, "ray 2"],
        in_axes: Float[Tensor, "vertex 3"],
        attributes: Float[Tensor, "vertex c"] | None,
        camera: Camera,
    ) -> Float[Tensor, "ray k"]:
        """What rays see: interpolated in perspective, differentiable by positions and attributes."""
        coverage = torch.from_numpy((face >= 0).astype(np.float32))[:, None]
        if attributes is None:
            return coverage
        hit = np.flatnonzero(face >= 0)
        corners = self._faces[torch.from_numpy(face[hit])]
        weights = _barycentric(in_axes[corners], torch.from_numpy(pixels[hit]).to(in_axes), camera)
        seen = (attributes[corners] * weights[..., None]).sum(dim=1)
        values = seen.new_zeros(len(face), seen.shape[1]).index_put((torch.from_numpy(hit),), seen)
        return torch.cat([values, coverage], dim=1)

    def _with_moving_outlines(
        self,
        image: Float[Tensor, "h w k"],
        in_axes: Float[Tensor, "vertex 3"],
        pixels: Float[Tensor, "vertex 2"],
        attributes: Float[Tensor, "vertex c"] | None,
        camera: Camera,
    ) -> Float[Tensor, "h w k"]:
        """The same image, with the derivative of its outlines."""
        outline = self._outline(pixels.detach().numpy(), -in_axes[:, 2].detach().numpy(), camera)
        with torch.no_grad():
            behind = self._interior(outline.face_behind, outline.beside, in_axes, attributes, camera)
            before = self._on_edges(outline, in_axes, attributes)
        flat = image.reshape(-1, image.shape[-1])
        jump = (before - behind) * outline.swept(pixels)[:, None]
        return flat.index_add(0, torch.from_numpy(outline.pixel), jump).view(image.shape)

    def _on_edges(self, outline: "Outline", in_axes, attributes) -> Float[Tensor, "point k"]:
        """What the surface shows at the outline itself."""
        coverage = torch.ones(len(outline.along), 1)
        if attributes is None:
            return coverage
        start, end = (torch.from_numpy(vertex) for vertex in outline.vertices.T)
        nearness = 1.0 / -in_axes[:, 2]
        along = torch.from_numpy(outline.along).to(nearness)
        weight = along * nearness[end]
        weight = (weight / (weight + (1 - along) * nearness[start]))[:, None]
        return torch.cat([attributes[start] * (1 - weight) + attributes[end] * weight, coverage], dim=1)

    def _outline(
        self, pixels: Float[np.ndarray, "vertex 2"], depth: Float[np.ndarray, "vertex"], camera: Camera
    ) -> "Outline":
        """Points on the visible edges between a face that looks at the camera and one that looks away."""
        front = _looks_at_the_camera(pixels[self.topology.faces])
        edge = self.topology.turned_edges(front)
        ends = pixels[self.topology.edges[edge]]
        step = ends[:, 1] - ends[:, 0]
        length = np.linalg.norm(step, axis=1)
        edge, ends, step, length = (values[length > 1e-6] for values in (edge, ends, step, length))
        count = np.ceil(length * POINTS_PER_PIXEL).astype(np.int64)
        which = np.repeat(np.arange(len(edge)), count)
        along = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[which]
        at = ends[which, 0] + along[:, None] * step[which]
        normal = np.stack([step[:, 1], -step[:, 0]], axis=1) / length[:, None]
        normal *= _away_from_the_front(self.topology, edge, front, pixels, ends, normal)[:, None]
        normal = normal[which]
        vertices = self.topology.edges[edge[which]]
        near = 1.0 / ((1 - along) / depth[vertices[:, 0]] + along / depth[vertices[:, 1]])
        beside = at + ASIDE * normal
        face_behind, depth_behind = self._first_hits(camera, beside)
        inside = (at >= 0).all(axis=1) & (at[:, 0] < camera.width) & (at[:, 1] < camera.height)
        kept = inside & (depth_behind > near * (1 + BEHIND))
        cell = at[kept].astype(np.int64)
        return Outline(
            vertices=vertices[kept],
            along=along[kept],
            normal=normal[kept],
            length=(length / count)[which][kept],
            pixel=cell[:, 1] * camera.width + cell[:, 0],
            beside=beside[kept],
            face_behind=face_behind[kept],
        )


@dataclass(frozen=True)
class Outline:
    """Points on visible outlines; each stands for a piece of `length` pixels."""

    vertices: Int[np.ndarray, "point 2"]  # of its edge
    along: Float[np.ndarray, "point"]  # where on the edge in the picture, from 0 to 1
    normal: Float[np.ndarray, "point 2"]  # in the picture, away from the surface
    length: Float[np.ndarray, "point"]
    pixel: Int[np.ndarray, "point"]  # row by row
    beside: Float[np.ndarray, "point 2"]  # where what lies behind is seen
    face_behind: Int[np.ndarray, "point"]  # or -1

    def where(self, kept: Bool[np.ndarray, "point"]) -> "Outline":
        return Outline(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})

    def swept(self, pixels: Float[Tensor, "vertex 2"]) -> Float[Tensor, "point"]:
        """The area in pixels over which each piece moves away from the surface: 0, but its derivative is not."""
        start, end = (torch.from_numpy(vertex) for vertex in self.vertices.T)
        along = torch.from_numpy(self.along).to(pixels)[:, None]
        points = pixels[start] * (1 - along) + pixels[end] * along
        moved = ((points - points.detach()) * torch.from_numpy(self.normal).to(pixels)).sum(dim=1)
        return moved * torch.from_numpy(self.length).to(pixels)


def _barycentric(
    corners: Float[Tensor, "ray 3 3"], pixels: Float[Tensor, "ray 2"], camera: Camera
) -> Float[Tensor, "ray 3"]:
    """Of the rays through pixels with the planes of their faces, in camera axes (Moller & Trumbore 1997)."""
    across = (pixels - pixels.new_tensor([0.5 * camera.width, 0.5 * camera.height])) / camera.focal
    across = (across * across.new_tensor([1.0, -1.0]))[:, None]
    aside = corners[..., :2] + across * corners[..., 2:]  # of each corner, from the ray, at the corner's depth
    x, y = aside[..., 0], aside[..., 1]
    following, last = [1, 2, 0], [2, 0, 1]
    area = x[:, following] * y[:, last] - x[:, last] * y[:, following]
    return area / area.sum(dim=1, keepdim=True)


def _looks_at_the_camera(corners: Float[np.ndarray, "face 3 2"]) -> Bool[np.ndarray, "face"]:
    """Counter-clockwise as seen; y runs downwards."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0] < 0


def _away_from_the_front(topology, edge, front, pixels, ends, normal) -> Float[np.ndarray, "edge"]:
    """1 where a normal points away from the face that looks at the camera, else -1."""
    one, other = topology.edge_faces[edge].T
    face = np.where(front[one], one, other)
    middle = pixels[topology.faces[face]].mean(axis=1)
    return np.where(((middle - ends[:, 0]) * normal).sum(axis=1) > 0, -1.0, 1.0)
