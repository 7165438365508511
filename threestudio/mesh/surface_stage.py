"""The second stage: a clean surface, fitted to the picture and to the field (cf. DreamGaussian's and Magic123's).

It starts from an even, closed mesh (`picture_volume`) that is smooth, and moves all vertices together (`large_steps`)
until the outlines of its renderings (`differentiable`) are those of the picture, at the picture's full resolution,
those of further pictures where there are any, and those of the field from all around. The connectivity never changes,
so the mesh stays closed and manifold, with as many parts as the picture has.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from threestudio.mesh.differentiable import Camera, PlacedMesh
from threestudio.mesh.large_steps import SmoothPositions, UniformAdam
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.picture_volume import StartConfig
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.topology import Topology
from threestudio.mesh.view_colors import FieldView
from threestudio.utils.misc import step_generator
from threestudio.utils.ranges import within

LARGEST_PICTURE = 512  # pixels a side: more tell nothing that a face of the mesh could follow
Keep = Callable[[dict[str, Any]], None]


@dataclass
class SurfaceConfig(StartConfig):
    """Of the start and the fit; lengths are world units, in which the object spans about 1."""

    steps: int = within(240, 0, 100_000)
    learning_rate: float = within(0.003, 1e-6, 0.1, "world units a step")  # at the start; it falls linearly to nothing
    sharing: float = within(4.0, 0, 1000)  # lambda of "Large Steps": over how many vertices a pull is shared
    field_weight: float = within(0.3, 0, 1000)  # of the field's outlines beside the picture's
    further_weight: float = within(1.0, 0, 1000)  # of further pictures' outlines; less where their cameras are guessed
    fairness: float = within(0.03, 0, 1000)  # weight of the bending energy
    field_views: int = within(16, 0, 1000)
    field_size: int = within(96, 8, 4096, "pixels")  # side of these renderings


@dataclass(frozen=True)
class Target:
    """What a camera should see: coverage [h w] in [0, 1]."""

    camera: Camera
    coverage: Float[Tensor, "h w"]
    weight: float

    @property
    def pixel_area(self) -> float:
        """In square world units, at the distance of the origin."""
        return (float(np.linalg.norm(self.camera.position)) / self.camera.focal) ** 2

    def loss(self, placed: PlacedMesh) -> Float[Tensor, ""]:
        """The squared error of coverage over the picture, in world units, up to what has no derivative."""
        pixel, coverage = placed.outline_coverage(self.camera)
        return self.weight * self.pixel_area * (coverage - self.coverage.view(-1)[pixel]).square().sum()


def picture_targets(view: ReferenceView, further_weight: float) -> list[Target]:
    """Of the picture, and of the further ones."""
    return [picture_target(view), *(picture_target(one, further_weight) for one in view.further)]


def picture_target(view: ReferenceView, weight: float = 1.0) -> Target:
    side = min(LARGEST_PICTURE, view.rgba.shape[0])
    alpha = np.ascontiguousarray(view.rgba[..., 3], dtype=np.float32)
    coverage = torch.from_numpy(cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA))
    return Target(Camera(torch.as_tensor(view.c2w), view.fovy_deg, side, side), coverage, weight)


def field_targets(views: Sequence[FieldView], weight: float) -> list[Target]:
    return [Target(view.camera, torch.from_numpy(view.opacity).float(), weight) for view in views]


class SurfaceFit:
    """The fit of one mesh. `state` and `load_state` make it go on exactly where it was."""

    def __init__(
        self, start: Mesh, pictures: Sequence[Target], around: Sequence[Target], config: SurfaceConfig, seed: int
    ) -> None:
        self.pictures, self.around, self.config, self.seed = list(pictures), list(around), config, seed
        self.faces, self.step = start.faces, 0
        self.topology = Topology.of(start.faces, len(start.positions))
        self.smooth = SmoothPositions(start.positions, self.topology, config.sharing)
        self.optimizer = UniformAdam(self.smooth.u, (0.9, 0.99))
        laplacian = self.topology.laplacian()
        self._bending: sparse.csr_array = laplacian @ laplacian

    def run(self, advance: Callable[[], None], keep: Keep | None = None, every_seconds: float = 0.0) -> Mesh:
        """To its end; `advance` is told of every step, `keep` is given the state now and then and at the end."""
        kept = time.monotonic()
        while self.step < self.config.steps:
            self._take_step()
            advance()
            if keep is not None and time.monotonic() - kept > every_seconds:
                keep(self.state())
                kept = time.monotonic()
        if keep is not None:
            keep(self.state())
        return self.mesh()

    def mesh(self) -> Mesh:
        return Mesh(self.smooth.positions().double().numpy(), self.faces)

    def _take_step(self) -> None:
        positions = self.smooth.positions().requires_grad_()
        placed = PlacedMesh(positions, self.topology)
        targets = [*self.pictures, *([self._drawn()] if self.around else [])]
        loss = torch.stack([target.loss(placed) for target in targets]).sum()
        (gradient,) = torch.autograd.grad(loss, positions)
        bending = self._bending @ positions.detach().double().numpy()
        total = gradient.double() + self.config.fairness * torch.from_numpy(bending)
        rate = self.config.learning_rate * (1.0 - self.step / self.config.steps)
        self.optimizer.step(self.smooth.gradient_of_u(total), rate)
        self.step += 1

    def _drawn(self) -> Target:
        generator = step_generator(self.seed, "surface-views", self.step)
        return self.around[int(torch.randint(len(self.around), (), generator=generator))]

    def state(self) -> dict[str, Any]:
        optimizer = self.optimizer
        return {
            "step": self.step,
            "u": self.smooth.u.clone(),
            "first": optimizer.first.clone(),
            "second": optimizer.second.clone(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.step = self.optimizer.steps = int(state["step"])
        self.smooth.u.copy_(state["u"])
        self.optimizer.first.copy_(state["first"])
        self.optimizer.second.copy_(state["second"])
