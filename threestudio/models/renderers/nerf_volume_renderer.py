"""Volume rendering of a density field: march through occupied space, colour the samples, composite them front to back.

`forward` takes rays [view h w 3] and returns upstream's pictures [view h w channel] and, in training, the samples.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

import threestudio
from threestudio.models.background.base import BaseBackground
from threestudio.models.geometry.base import BaseGeometry
from threestudio.models.materials.base import BaseMaterial
from threestudio.models.renderers.base import VolumeRenderer
from threestudio.models.renderers.chunks import in_chunks
from threestudio.models.renderers.occupancy_grid import OccupancyGrid
from threestudio.models.renderers.ray_weights import DARK, composite, render_weights
from threestudio.models.renderers.samples import RaySamples
from threestudio.models.renderers.visibility import only_visible
from threestudio.utils.misc import get_seed, step_generator
from threestudio.utils.ranges import one_of, within

# How far the second look at the normals is from the first, in world units (standard deviation).
NORMAL_PERTURBATION = 0.01


@threestudio.register("nerf-volume-renderer")
class NeRFVolumeRenderer(VolumeRenderer):
    """Emission and absorption along rays (Max 1995), sampled where an occupancy grid finds something."""

    @dataclass
    class Config(VolumeRenderer.Config):
        # Steps along the box's diagonal.
        num_samples_per_ray: int = within(512, 1, 100_000)
        # Samples that pass through the field at once in evaluation; 0 is all.
        eval_chunk_size: int = within(160000, 0, 10**9)
        # Shift each ray's steps at random in training.
        randomized: bool = True

        near_plane: float = within(0.0, 0, 1e10, "world units")
        far_plane: float = within(1e10, 1e-3, 1e10, "world units")

        # Outputs in training that cost normals: `comp_normal`, `normal_perturb`.
        return_comp_normal: bool = False
        return_normal_perturb: bool = False

        estimator: str = one_of("occgrid")
        # Skip empty cells, and then samples that are transparent or hidden.
        grid_prune: bool = True
        prune_alpha_threshold: bool = True
        # Ours: the latter in training too; worth it where a sample's gradient costs much more than its density.
        prune_in_training: bool = True
        # Steps between updates of the grid, and how much of a cell's opacity survives one: less of both for short runs.
        grid_update_every: int = within(16, 1, 10**9, "steps")
        grid_decay: float = within(0.95, 0, 1)

        # Upstream's keys for its other estimators.
        proposal_network_config: dict | None = None
        prop_optimizer_config: dict | None = None
        prop_scheduler_config: dict | None = None
        num_samples_per_ray_proposal: int = within(64, 0, 100_000)
        num_samples_per_ray_importance: int = within(64, 0, 100_000)

    cfg: Config

    def configure(self, geometry: BaseGeometry, material: BaseMaterial, background: BaseBackground) -> None:
        super().configure(geometry, material, background)
        self.grid = OccupancyGrid(self.bbox, decay=self.cfg.grid_decay)
        self.render_step_size = 2.0 * 3.0**0.5 * self.cfg.radius / self.cfg.num_samples_per_ray
        self._step, self._calls = 0, 0

    def forward(
        self,
        rays_o: Float[Tensor, "view h w 3"],
        rays_d: Float[Tensor, "view h w 3"],
        light_positions: Float[Tensor, "view 3"],
        bg_color: Tensor | None = None,
        output_normal: bool | None = None,
        **shading: Any,
    ) -> dict[str, Tensor]:
        """`bg_color` [view 3] or [view h w 3] replaces the background; `output_normal` decides whether normals are
        computed (None: if the material or an output needs them); `shading` goes to the material."""
        views = rays_o.shape[:3]
        origins, directions = rays_o.reshape(-1, 3), rays_d.reshape(-1, 3)
        generator = self._next_generator()
        samples = self._sample(origins, directions, generator).or_one_of_length_zero()
        points = samples.positions(origins, directions)
        fields = self._evaluate(self.geometry, points, output_normal=self._wants_normal(output_normal, shading))
        view_of_ray = torch.arange(len(rays_o), device=rays_o.device).repeat_interleave(views[1] * views[2])
        view_dirs = directions.index_select(0, samples.rays)
        colors = self._evaluate(
            self.material,
            viewdirs=view_dirs,
            positions=points,
            light_positions=light_positions.index_select(0, view_of_ray.index_select(0, samples.rays)),
            **fields,
            **shading,
        )
        weights = render_weights(samples, fields["density"][:, 0], len(origins))
        pictures = self._composite(samples, weights, colors, fields.get("normal"), len(origins))
        pictures["comp_rgb_bg"] = self.background(dirs=rays_d).reshape(len(origins), -1)
        behind = pictures["comp_rgb_bg"] if bg_color is None else _per_ray(bg_color, views)
        pictures["comp_rgb"] = pictures["comp_rgb_fg"] + behind * (1.0 - pictures["opacity"])
        out = {name: picture.view(*views, -1) for name, picture in pictures.items()}
        if not self.training:
            return out
        out |= {
            "weights": weights[:, None],
            "t_points": samples.middles[:, None],
            "t_intervals": (samples.ends - samples.starts)[:, None],
            "t_dirs": view_dirs,
            "ray_indices": samples.rays,
            "points": points,
            **fields,
        }
        if "normal" in fields and self.cfg.return_normal_perturb:
            shift = NORMAL_PERTURBATION * torch.randn(points.shape, generator=generator).to(points)
            out["normal_perturb"] = self.geometry(points + shift, output_normal=True)["normal"]
        return out

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        self._step, self._calls = global_step, 0
        due = self.cfg.grid_prune and global_step % self.cfg.grid_update_every == 0
        if due and self.training and not on_load_weights:
            self.grid.update(global_step, self._step_opacity, step_generator(get_seed(), "occupancy", global_step))

    def _wants_normal(self, output_normal: bool | None, shading: dict[str, Any]) -> bool:
        if output_normal is not None:
            return output_normal
        asked = self.cfg.return_comp_normal or (self.training and self.cfg.return_normal_perturb)
        return asked or self.material.needs_normal(**shading)

    def _next_generator(self) -> torch.Generator:
        """Each call of a training step draws its own numbers, the same in a resumed run."""
        self._calls += 1
        return step_generator(get_seed(), f"renderer call {self._calls}", self._step)

    def _sample(self, origins: Tensor, directions: Tensor, generator: torch.Generator) -> RaySamples:
        first = torch.full_like(origins[:, 0], self.cfg.near_plane)
        if self.training and self.cfg.randomized:
            first += self.render_step_size * torch.rand(len(first), generator=generator).to(first)
        samples = self.grid.march(origins, directions, first, self.cfg.far_plane, self.render_step_size)
        prune = self.cfg.grid_prune and self.cfg.prune_alpha_threshold and len(samples.rays) > 0
        if not prune or self._is_fog() or (self.training and not self.cfg.prune_in_training):
            return samples

        def density(part: RaySamples) -> Float[Tensor, "sample"]:
            return self._density(part.positions(origins, directions))

        return only_visible(samples, density, len(origins), self.grid.threshold)

    def _is_fog(self) -> bool:
        """No ray can be dark enough to hide a sample, so that looking for hidden ones would cost and save nothing."""
        darkest = float(self.grid.occs.max()) * self.cfg.num_samples_per_ray
        return 0.0 < darkest < DARK

    def _evaluate(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return in_chunks(function, 0 if self.training else self.cfg.eval_chunk_size, *args, **kwargs)

    def _composite(
        self, samples: RaySamples, weights: Tensor, colors: Tensor, normal: Tensor | None, n_rays: int
    ) -> dict[str, Float[Tensor, "ray channel"]]:
        middles = samples.middles[:, None]
        parts = [torch.ones_like(middles), middles, colors] + ([] if normal is None else [normal])
        sums = composite(samples, weights, torch.cat(parts, dim=-1), n_rays)
        opacity, depth, rgb, *rest = sums.split([part.shape[1] for part in parts], dim=-1)
        mean = depth / opacity.clamp(min=1e-5)
        squares = composite(samples, weights, (middles - mean.index_select(0, samples.rays)).square(), n_rays)
        variance = squares / opacity.clamp(min=1e-5) * (opacity > 0.5)
        pictures = {"comp_rgb_fg": rgb, "opacity": opacity, "depth": depth, "z_variance": variance}
        if rest and (self.cfg.return_comp_normal or not self.training):
            # In [0, 1] and black where empty, to be looked at.
            pictures["comp_normal"] = (0.5 * F.normalize(rest[0], dim=-1) + 0.5) * opacity
        return pictures

    def _step_opacity(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point"]:
        """1 - exp(-density step), to first order."""
        return self._density(points) * self.render_step_size

    def _density(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point"]:
        return in_chunks(self.geometry.forward_density, self.cfg.eval_chunk_size, points)[:, 0]


def _per_ray(color: Tensor, views: tuple[int, ...] | torch.Size) -> Float[Tensor, "ray channel"]:
    if color.ndim == 2:
        color = color[:, None, None, :]
    return color.expand(*views, -1).reshape(-1, color.shape[-1])
