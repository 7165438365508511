"""Where space may be occupied: a coarse grid that follows the density, so that rays skip the rest (Instant-NGP, C).

A cell keeps the decaying maximum of the opacity that one step through it would have, and what it had when last seen: a
cell that was opaque then, as were all around it, hides what lies behind it. nerfacc's kernels march on CUDA where they
can be built; elsewhere all steps of a chunk of rays are looked up at once.
"""

from collections.abc import Callable
from functools import cache

import nerfacc
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

import threestudio
from threestudio.models.renderers.ray_weights import DARK, before_in_rows, optical_depth_before
from threestudio.models.renderers.samples import RaySamples, concatenate

WARM_UP_STEPS = 256
MAX_THRESHOLD = 0.01
LOOKUPS_AT_ONCE = 1 << 20

StepOpacity = Callable[[Float[Tensor, "point 3"]], Float[Tensor, "point"]]


class OccupancyGrid(nn.Module):
    """Before its first update everything counts as occupied."""

    bbox: Float[Tensor, "2 3"]
    occs: Float[Tensor, "cell"]
    latest: Float[Tensor, "cell"]
    inner: Float[Tensor, "cell"]
    binaries: Bool[Tensor, "x y z"]

    def __init__(self, bbox: Float[Tensor, "2 3"], resolution: int = 32, decay: float = 0.95) -> None:
        super().__init__()
        self.resolution, self.decay = resolution, decay
        self.register_buffer("bbox", bbox.clone(), persistent=False)
        self.register_buffer("occs", torch.zeros(resolution**3))
        self.register_buffer("latest", torch.zeros(resolution**3))
        self.register_buffer("inner", torch.zeros(resolution**3), persistent=False)
        self.register_buffer("binaries", torch.ones((resolution,) * 3, dtype=torch.bool))
        self.register_load_state_dict_post_hook(lambda grid, _: grid._find_inner())

    @property
    def threshold(self) -> float:
        """Opacity of a step below which space counts as empty; in thin fog it falls with the fog, which so stays."""
        return min(MAX_THRESHOLD, 0.5 * float(self.occs.mean()))

    @torch.no_grad()
    def update(self, step: int, step_opacity: StepOpacity, generator: torch.Generator) -> None:
        """Looks at one random point in every cell; after the warm-up in a random half of the cells."""
        cells = torch.arange(self.resolution**3)
        if step >= WARM_UP_STEPS:
            cells = torch.randperm(len(cells), generator=generator)[: len(cells) // 2]
        inside = torch.rand(len(cells), 3, generator=generator)
        corner = torch.stack(torch.unravel_index(cells, self.binaries.shape), dim=-1)
        unit = (corner + inside).to(self.bbox) / self.resolution
        cells = cells.to(self.occs.device)
        seen = step_opacity(self.bbox[0] + unit * (self.bbox[1] - self.bbox[0])).to(self.occs)
        self.occs[cells] = torch.maximum(self.decay * self.occs[cells], seen)
        self.binaries.copy_((self.occs > self.threshold).view_as(self.binaries))
        self.latest[cells] = seen
        self._find_inner()

    def _find_inner(self) -> None:
        """The least of a cell and of all around it, as last seen: no more than a ray through it can have met."""
        least = -F.max_pool3d(-self.latest.view(1, 1, *self.binaries.shape), 3, stride=1, padding=1)
        self.inner.copy_(least.reshape(-1))

    @torch.no_grad()
    def march(
        self,
        origins: Float[Tensor, "ray 3"],
        directions: Float[Tensor, "ray 3"],
        first_distance: Float[Tensor, "ray"],
        far: float,
        step_size: float,
    ) -> RaySamples:
        """Steps of equal size, counted from each ray's `first_distance`, whose middles lie in occupied cells, without
        those that lie deep inside what is opaque."""
        if origins.is_cuda and _nerfacc_marches():
            return self._march_by_nerfacc(origins, directions, first_distance, far, step_size)
        lower, upper = self._occupied_box()
        enter, leave = intersect_box(origins, directions, lower, upper)
        leave = leave.clamp(max=far)
        first = ((enter - first_distance) / step_size - 0.5).ceil().clamp(min=0.0)
        count = (((leave - first_distance) / step_size - 0.5).floor() - first + 1).clamp(min=0.0).nan_to_num(0.0)
        hit = torch.nonzero(count > 0)[:, 0]
        if not len(hit):
            nothing = origins.new_zeros(0)
            return RaySamples(hit, nothing, nothing)
        rays_at_once = max(1, LOOKUPS_AT_ONCE // int(count.max()))
        parts = []
        for rays in hit.split(rays_at_once):
            start = first_distance[rays] + first[rays] * step_size
            part = self._look_up(origins[rays], directions[rays], start, count[rays], step_size)
            parts.append(RaySamples(rays[part.rays], part.starts, part.ends))
        return concatenate(parts)

    def _look_up(
        self, origins: Tensor, directions: Tensor, start: Tensor, count: Tensor, step_size: float
    ) -> RaySamples:
        steps = torch.arange(int(count.max()), device=origins.device)
        starts = start[:, None] + steps * step_size
        index = torch.zeros_like(starts, dtype=torch.int32)
        to_cell = self.resolution / (self.bbox[1] - self.bbox[0])
        for axis in range(3):
            origin = (origins[:, axis] - self.bbox[0, axis]) * to_cell[axis]
            slope = directions[:, axis] * to_cell[axis]
            middle = torch.addcmul((origin + 0.5 * step_size * slope)[:, None], starts, slope[:, None])
            index = index * self.resolution + middle.to(torch.int32).clamp_(0, self.resolution - 1)
        flat = index.reshape(-1)
        occupied = self.binaries.reshape(-1).index_select(0, flat).view_as(index)
        inner = self.inner.index_select(0, flat).view_as(index)
        lit = before_in_rows(inner) < DARK
        rays, position = torch.nonzero(occupied & lit & (steps < count[:, None]), as_tuple=True)
        kept = starts[rays, position]
        return RaySamples(rays, kept, kept + step_size)

    def _occupied_box(self) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """The smallest box around all occupied cells; inside out if there are none."""
        lower, upper = self.bbox[0].clone(), self.bbox[0].clone()
        cell = (self.bbox[1] - self.bbox[0]) / self.resolution
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            filled = torch.nonzero(self.binaries.any(dim=others[1]).any(dim=others[0]))
            if not len(filled):
                return self.bbox[1], self.bbox[0]
            lower[axis] += cell[axis] * filled.min()
            upper[axis] += cell[axis] * (filled.max() + 1)
        return lower, upper

    def _march_by_nerfacc(
        self, origins: Tensor, directions: Tensor, first_distance: Tensor, far: float, step_size: float
    ) -> RaySamples:
        intervals, samples, _ = nerfacc.traverse_grids(
            origins.contiguous(),
            directions.contiguous(),
            self.binaries[None],
            self.bbox.reshape(1, 6),
            near_planes=first_distance,
            far_planes=torch.full_like(first_distance, far),
            step_size=step_size,
            cone_angle=0.0,
        )
        found = RaySamples(
            samples.ray_indices.long(), intervals.vals[intervals.is_left], intervals.vals[intervals.is_right]
        )
        return self.lit(found, origins, directions)

    def lit(
        self, samples: RaySamples, origins: Float[Tensor, "ray 3"], directions: Float[Tensor, "ray 3"]
    ) -> RaySamples:
        """The samples that do not lie deep inside what is opaque."""
        unit = (samples.positions(origins, directions) - self.bbox[0]) / (self.bbox[1] - self.bbox[0])
        cell = (unit * self.resolution).long().clamp_(0, self.resolution - 1)
        index = (cell[:, 0] * self.resolution + cell[:, 1]) * self.resolution + cell[:, 2]
        before = optical_depth_before(samples, self.inner.index_select(0, index))
        return samples.where(before < DARK)


def intersect_box(
    origins: Float[Tensor, "ray 3"],
    directions: Float[Tensor, "ray 3"],
    lower: Float[Tensor, "3"],
    upper: Float[Tensor, "3"],
) -> tuple[Float[Tensor, "ray"], Float[Tensor, "ray"]]:
    """Distances at which each ray enters (from 0 on) and leaves the box; it misses if it leaves before it enters."""
    # A direction of exactly 0 would give 0 * inf where the origin lies on a face.
    safe = torch.where(directions.abs() < 1e-12, torch.full_like(directions, 1e-12), directions)
    to_lower, to_upper = (lower - origins) / safe, (upper - origins) / safe
    enter = torch.minimum(to_lower, to_upper).amax(dim=-1).clamp(min=0.0)
    return enter, torch.maximum(to_lower, to_upper).amin(dim=-1)


@cache
def _nerfacc_marches() -> bool:
    """nerfacc builds its kernels on first use, which needs a CUDA compiler."""
    from nerfacc.cuda import _backend

    available = getattr(_backend, "_C", None) is not None
    if not available:
        threestudio.warn("nerfacc has no CUDA kernels here; rays are marched in torch, which is slower")
    return available
