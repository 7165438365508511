"""A density and a feature field: hash grid, then one small network each (Instant-NGP).

density = activation(network(encoding(x)) + bias(x)), where the bias shapes the field before training:
`blob_magic3d` and `blob_dreamfusion` put an opaque ball at the origin; a number gives even fog. Thin fog (for example
`density_bias: -2.` with softplus, density 0.13) worked best for a single picture: nothing opaque has to be carved away.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

import threestudio
from threestudio.errors import UserError
from threestudio.models.geometry.base import BaseImplicitGeometry, to_unit_cube
from threestudio.models.geometry.visual_hull import VisualHull
from threestudio.models.networks import get_activation, get_encoding, get_mlp
from threestudio.utils.config import parse_structured
from threestudio.utils.ranges import one_of, within
from threestudio.utils.schedules import C

BLOBS = ("blob_magic3d", "blob_dreamfusion")
STDS = (1e-3, 1e3)  # world units


@dataclass
class BlobAnnealing:
    """`density_blob_std` from one value to another between two steps, and constant outside."""

    min_anneal_step: int = within(0, 0, 1e9, "steps")
    max_anneal_step: int = within(1000, 1, 1e9, "steps")
    start_val: float = within(0.5, *STDS, "world units")
    end_val: float = within(0.5, *STDS, "world units")


@threestudio.register("implicit-volume")
class ImplicitVolume(BaseImplicitGeometry):
    """A hash grid and small networks: density and features of points in the box."""

    @dataclass
    class Config(BaseImplicitGeometry.Config):
        n_input_dims: int = within(3, 3, 3)
        n_feature_dims: int = within(3, 0, 256)
        density_activation: str | None = "softplus"
        density_bias: float | str = within("blob_magic3d", -1e4, 1e4, words=BLOBS)
        # Height of the blob before activation, and its radius or standard deviation in world units.
        density_blob_scale: float = within(10.0, -1e4, 1e4)
        density_blob_std: float = within(0.5, *STDS, "world units")
        anneal_density_blob_std_config: dict | None = None  # BlobAnnealing
        pos_encoding_config: dict = field(
            default_factory=lambda: {
                "otype": "HashGrid",
                "n_levels": 16,
                "n_features_per_level": 2,
                "log2_hashmap_size": 19,
                "base_resolution": 16,
                "per_level_scale": 1.447269237440378,
            }
        )
        mlp_network_config: dict = field(
            default_factory=lambda: {
                "otype": "VanillaMLP",
                "activation": "ReLU",
                "output_activation": "none",
                "n_neurons": 64,
                "n_hidden_layers": 1,
            }
        )
        # Ours: nothing outside the silhouette's cone; the system carves it (visual_hull.py).
        visual_hull: bool = False
        # None is a field without normals.
        normal_type: str | None = one_of("finite_difference", "analytic", "finite_difference_laplacian", "pred")
        finite_difference_normal_eps: float = within(0.01, 1e-6, 10, "world units")

    cfg: Config

    def configure(self) -> None:
        super().configure()
        self.density_blob_std = self._blob_std()
        self.density_activation = get_activation(self.cfg.density_activation)
        self.hull = VisualHull() if self.cfg.visual_hull else None
        self.encoding = get_encoding(self.cfg.n_input_dims, self.cfg.pos_encoding_config)
        self.density_network = self._network(1)
        if self.cfg.n_feature_dims > 0:
            self.feature_network = self._network(self.cfg.n_feature_dims)
        if self.cfg.normal_type == "pred":
            self.normal_network = self._network(3)

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        self.density_blob_std = self._blob_std(global_step)

    def forward(self, points: Float[Tensor, "*point 3"], output_normal: bool = False) -> dict[str, Tensor]:
        """`density` [.. 1], `features` [.. n] before the material's activation and, if asked for, unit normals
        that point out of the density, as `normal` and `shading_normal`."""
        if not output_normal:
            encoded = self._encode(points)
            return self._fields(encoded, points)
        if self.cfg.normal_type is None:
            raise UserError("normals are needed (by the material or a loss), but the geometry has normal_type null")
        if self.cfg.normal_type == "analytic":
            return self._forward_with_analytic_normal(points)
        encoded = self._encode(points)
        output = self._fields(encoded, points)
        if self.cfg.normal_type == "pred":
            direction = self.normal_network(encoded).view(*points.shape)
        else:
            direction = -self._finite_difference(points, output["density"])
        return _with_normal(output, direction)

    def forward_density(self, points: Float[Tensor, "*point 3"]) -> Float[Tensor, "*point 1"]:
        return self._density(self._encode(points), points)

    def export(self, points: Float[Tensor, "*point 3"], **kwargs: Any) -> dict[str, Tensor]:
        if self.cfg.n_feature_dims == 0:
            return {}
        return {"features": self._features(self._encode(points), points)}

    def _encode(self, points: Tensor) -> Float[Tensor, "point channel"]:
        return self.encoding(to_unit_cube(points, self.bbox).reshape(-1, self.cfg.n_input_dims))

    def _fields(self, encoded: Tensor, points: Tensor) -> dict[str, Tensor]:
        output = {"density": self._density(encoded, points)}
        if self.cfg.n_feature_dims > 0:
            output["features"] = self._features(encoded, points)
        return output

    def _density(self, encoded: Tensor, points: Tensor) -> Float[Tensor, "*point 1"]:
        raw = self.density_network(encoded).view(*points.shape[:-1], 1)
        density = self.density_activation(raw + self._density_bias(points))
        return density if self.hull is None else density * self.hull(points)

    def _features(self, encoded: Tensor, points: Tensor) -> Float[Tensor, "*point feature"]:
        return self.feature_network(encoded).view(*points.shape[:-1], self.cfg.n_feature_dims)

    def _density_bias(self, points: Tensor) -> Float[Tensor, "*point 1"] | float:
        scale, std = self.cfg.density_blob_scale, self.density_blob_std
        if self.cfg.density_bias == "blob_magic3d":
            # Away from 0, where the norm has no gradient.
            return scale * (1.0 - points.square().sum(-1, keepdim=True).clamp(min=1e-12).sqrt() / std)
        if self.cfg.density_bias == "blob_dreamfusion":
            return scale * torch.exp(-0.5 * points.square().sum(-1, keepdim=True) / std**2)
        return float(self.cfg.density_bias)

    def _blob_std(self, global_step: int = 0) -> float:
        if self.cfg.anneal_density_blob_std_config is None:
            return self.cfg.density_blob_std
        annealing = parse_structured(BlobAnnealing, self.cfg.anneal_density_blob_std_config)
        steps = (annealing.min_anneal_step, annealing.max_anneal_step)
        return C([steps[0], annealing.start_val, annealing.end_val, steps[1]], 0, global_step)

    def _forward_with_analytic_normal(self, points: Tensor) -> dict[str, Tensor]:
        """Minus the density's gradient; in training it can itself be differentiated."""
        keep_graph = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            points = points.clone().requires_grad_(True) if not points.requires_grad else points
            output = self._fields(self._encode(points), points)
            (gradient,) = torch.autograd.grad(
                output["density"].sum(), points, create_graph=keep_graph, retain_graph=True
            )
        if not keep_graph:
            output = {name: value.detach() for name, value in output.items()}
        return _with_normal(output, -gradient)

    def _finite_difference(self, points: Tensor, density: Tensor) -> Float[Tensor, "*point 3"]:
        """The density's slope: forward differences, or central ones (twice the evaluations) as `.._laplacian`."""
        step = self.cfg.finite_difference_normal_eps
        offsets = step * torch.eye(3, dtype=points.dtype, device=points.device)
        ahead = self._density_around(points, offsets)
        if self.cfg.normal_type == "finite_difference":
            return (ahead - density) / step
        return (ahead - self._density_around(points, -offsets)) / (2.0 * step)

    def _density_around(self, points: Tensor, offsets: Float[Tensor, "offset 3"]) -> Float[Tensor, "*point offset"]:
        around = (points[..., None, :] + offsets).clamp(-self.cfg.radius, self.cfg.radius)
        return self.forward_density(around)[..., 0]

    def _network(self, n_output_dims: int) -> torch.nn.Module:
        return get_mlp(self.encoding.n_output_dims, n_output_dims, self.cfg.mlp_network_config)


def _with_normal(output: dict[str, Tensor], direction: Tensor) -> dict[str, Tensor]:
    normal = F.normalize(direction, dim=-1)
    return {**output, "normal": normal, "shading_normal": normal}
