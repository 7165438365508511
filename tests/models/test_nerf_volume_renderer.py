"""Pictures of fields that are known in closed form."""

import pytest
import torch

from threestudio import find
from threestudio.cameras import orbit, rays
from threestudio.errors import UserError
from threestudio.models.background import SolidColorBackground
from threestudio.models.geometry.base import BaseImplicitGeometry
from threestudio.models.materials import NoMaterial
from threestudio.models.renderers import NeRFVolumeRenderer

DISTANCE = 3.8
SIZE = 24
LIGHT = torch.zeros(2, 3)


class Ball(BaseImplicitGeometry):
    """An even density inside a sphere around the origin; its colour says where a point is."""

    def configure(self, radius=0.5, density=200.0):
        super().configure()
        self.ball_radius, self.inside = radius, density

    def forward_density(self, points):
        return self.inside * (points.norm(dim=-1, keepdim=True) < self.ball_radius).float()

    def forward(self, points, output_normal=False):
        fields = {"density": self.forward_density(points), "features": points}
        if output_normal:
            fields["normal"] = fields["shading_normal"] = torch.nn.functional.normalize(points, dim=-1)
        return fields


def camera_rays(size=SIZE):
    c2w = orbit(torch.tensor([10.0, -20.0]), torch.tensor([0.0, 135.0]), torch.full((2,), DISTANCE))
    return rays(c2w, torch.full((2,), 20.0), size, size)


def renderer(geometry=None, material=None, **config):
    geometry = Ball({}) if geometry is None else geometry
    material = NoMaterial({}) if material is None else material
    config = {"num_samples_per_ray": 400, **config}
    return NeRFVolumeRenderer(config, geometry=geometry, material=material, background=SolidColorBackground({}))


def with_exact_grid(module):
    """Occupied are the cells that the ball touches."""
    corners = torch.linspace(-1.0, 1.0, module.grid.resolution + 1)
    lower, upper = corners[:-1], corners[1:]
    nearest = torch.where(lower * upper < 0, 0.0, torch.minimum(lower.abs(), upper.abs()))
    distance = torch.stack(torch.meshgrid(nearest, nearest, nearest, indexing="ij")).norm(dim=0)
    module.grid.binaries.copy_((distance < module.geometry.ball_radius) & (module.geometry.inside > 0))
    module.grid.occs.copy_(module.grid.binaries.flatten() * module.geometry.inside * module.render_step_size)
    return module


def closest_to_the_origin(rays_o, rays_d):
    along = -(rays_o * rays_d).sum(-1, keepdim=True)
    return along, (rays_o + along * rays_d).norm(dim=-1, keepdim=True)


def test_an_opaque_ball_has_its_silhouette_and_depth():
    rays_o, rays_d = camera_rays()
    out = with_exact_grid(renderer()).eval()(rays_o, rays_d, LIGHT)
    along, miss = closest_to_the_origin(rays_o, rays_d)
    clear = (miss - 0.5).abs() > 0.02  # a step's length from the outline
    assert ((out["opacity"] > 0.5) == (miss < 0.5))[clear].all()
    seen = miss < 0.45
    true_depth = along - (0.25 - miss.square()).clamp(min=0).sqrt()
    assert (out["depth"] - true_depth)[seen].abs().max() < 0.02
    assert out["z_variance"][seen].max() < 1e-3


def test_empty_space_shows_the_white_background():
    rays_o, rays_d = camera_rays()
    out = with_exact_grid(renderer(Ball({}, density=0.0))).train()(rays_o, rays_d, LIGHT)
    assert (out["comp_rgb"] == 1.0).all()
    assert not out["opacity"].any()
    assert len(out["weights"]) == 1 and not out["weights"].any()


def test_rays_that_miss_the_box_are_background():
    rays_o, rays_d = camera_rays()
    out = renderer().eval()(rays_o, -rays_d, LIGHT)
    assert (out["comp_rgb"] == 1.0).all()


def test_opacity_is_the_sum_of_the_weights_and_the_absorption_in_closed_form():
    rays_o, rays_d = camera_rays()
    density = 2.0
    out = with_exact_grid(renderer(Ball({}, density=density), num_samples_per_ray=2000)).train()(rays_o, rays_d, LIGHT)
    summed = torch.zeros(out["opacity"].numel()).index_add_(0, out["ray_indices"], out["weights"][:, 0])
    torch.testing.assert_close(summed, out["opacity"].flatten())
    _, miss = closest_to_the_origin(rays_o, rays_d)
    chord = 2.0 * (0.25 - miss.square()).clamp(min=0).sqrt()
    assert (out["opacity"] - (1.0 - torch.exp(-density * chord))).abs().max() < 0.02


def test_pruned_and_unpruned_pictures_agree():
    rays_o, rays_d = camera_rays()
    pruned = with_exact_grid(renderer()).eval()
    whole = renderer(grid_prune=False).eval()
    assert pruned.grid.binaries.float().mean() < 0.2 < whole.grid.binaries.float().mean()
    for name, picture in whole(rays_o, rays_d, LIGHT).items():
        torch.testing.assert_close(pruned(rays_o, rays_d, LIGHT)[name], picture, atol=2e-3, rtol=0)


def seen_once(density):
    """In training after one update of the grid; no sample is asked whether it is hidden."""
    module = renderer(Ball({}, density=density), num_samples_per_ray=64, prune_in_training=False, randomized=False)
    module.train().update_step(0, 0)
    return module


def test_what_lies_deep_inside_an_opaque_ball_is_not_sampled():
    rays_o, rays_d = camera_rays()
    module = seen_once(density=400.0)
    found = module(rays_o, rays_d, LIGHT)
    module.grid.inner.zero_()
    everything = module(rays_o, rays_d, LIGHT)
    assert len(found["points"]) < 0.6 * len(everything["points"])
    for name in ("comp_rgb", "opacity", "depth"):
        torch.testing.assert_close(found[name], everything[name], atol=1e-4, rtol=0)


def test_samples_from_elsewhere_are_kept_by_the_same_rule():
    rays_o, rays_d = (part.reshape(-1, 3) for part in camera_rays())
    grid = seen_once(density=400.0).grid
    march = (rays_o, rays_d, torch.zeros(len(rays_o)), 1e10, 0.02)
    own = grid.march(*march)
    inner = grid.inner.clone()
    grid.inner.zero_()
    everything = grid.march(*march)
    grid.inner.copy_(inner)
    kept = grid.lit(everything, rays_o, rays_d)
    assert len(own.rays) < len(everything.rays)
    assert torch.equal(kept.rays, own.rays) and torch.equal(kept.starts, own.starts)


def test_a_translucent_ball_and_one_that_vanished_hide_nothing():
    rays_o, rays_d = camera_rays()
    translucent, vanished = seen_once(density=5.0), seen_once(density=400.0)
    vanished.geometry.inside = 5.0
    vanished.update_step(0, 16)
    for module in (translucent, vanished):
        count = len(module(rays_o, rays_d, LIGHT)["points"])
        module.grid.inner.zero_()
        assert count == len(module(rays_o, rays_d, LIGHT)["points"])


def test_a_background_color_for_each_view_replaces_the_background():
    rays_o, rays_d = camera_rays()
    color = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    out = with_exact_grid(renderer(Ball({}, density=0.0))).eval()(rays_o, rays_d, LIGHT, bg_color=color)
    torch.testing.assert_close(out["comp_rgb"], color[:, None, None].expand(2, SIZE, SIZE, 3))


def test_evaluation_in_chunks_gives_the_same_picture():
    rays_o, rays_d = camera_rays()
    whole, chunked = renderer().eval(), renderer(eval_chunk_size=777).eval()
    torch.testing.assert_close(chunked(rays_o, rays_d, LIGHT), whole(rays_o, rays_d, LIGHT))


def test_marching_a_few_rays_at_a_time_gives_the_same_samples(monkeypatch):
    rays_o, rays_d = (part.reshape(-1, 3) for part in camera_rays())
    module = with_exact_grid(renderer())
    march = (rays_o, rays_d, torch.zeros(len(rays_o)), 1e10, module.render_step_size)
    whole = module.grid.march(*march)
    monkeypatch.setattr("threestudio.models.renderers.occupancy_grid.LOOKUPS_AT_ONCE", 1000)
    few = module.grid.march(*march)
    assert torch.equal(few.rays, whole.rays) and torch.equal(few.starts, whole.starts)


def test_near_and_far_plane_cut_the_field():
    rays_o, rays_d = camera_rays()
    assert not renderer(near_plane=5.0).eval()(rays_o, rays_d, LIGHT)["opacity"].any()
    assert not renderer(far_plane=3.0).eval()(rays_o, rays_d, LIGHT)["opacity"].any()


def test_a_training_step_repeats_itself_and_another_step_draws_anew():
    rays_o, rays_d = camera_rays()
    module = renderer(Ball({}, density=5.0)).train()

    def depth_at(step):
        module.update_step(0, step)
        return module(rays_o, rays_d, LIGHT)["depth"]

    assert torch.equal(depth_at(1), depth_at(1))
    assert not torch.equal(depth_at(1), depth_at(2))


def test_updates_find_the_occupied_cells():
    module = renderer(grid_decay=1.0, grid_update_every=1).train()
    for step in range(40):
        module.update_step(0, step)
    exact = with_exact_grid(renderer()).grid.binaries
    assert not (module.grid.binaries & ~exact).any()
    assert (module.grid.binaries & exact).sum() > 0.9 * exact.sum()


def test_the_grids_state_is_saved():
    module = with_exact_grid(renderer())
    module.grid.latest.fill_(7.0)
    assert {"grid.occs", "grid.binaries", "grid.latest"} <= set(module.state_dict())
    restored = renderer()
    restored.load_state_dict(module.state_dict())
    assert torch.equal(restored.grid.binaries, module.grid.binaries)
    assert (restored.grid.inner == 7.0).all()  # derived, and not saved


def test_thin_fog_is_not_pruned():
    class Fog(Ball):
        def forward_density(self, points):
            return torch.full_like(points[..., :1], 0.05)

    module = renderer(Fog({}), num_samples_per_ray=64).train()
    module.update_step(0, 0)
    assert module.grid.binaries.all()
    out = module.eval()(*camera_rays(), LIGHT)
    assert out["opacity"].min() > 0.05


def test_normals_are_computed_only_where_something_needs_them():
    rays_o, rays_d = camera_rays()
    assert "normal" not in renderer().train()(rays_o, rays_d, LIGHT)
    assert "normal" in renderer().train()(rays_o, rays_d, LIGHT, output_normal=True)
    assert "comp_normal" not in renderer().eval()(rays_o, rays_d, LIGHT)
    full = renderer(return_comp_normal=True, return_normal_perturb=True).train()
    assert {"normal", "comp_normal", "normal_perturb"} <= set(full(rays_o, rays_d, LIGHT))
    assert "normal" not in full(rays_o, rays_d, LIGHT, output_normal=False)


def test_a_normal_picture_of_a_ball_points_at_the_camera_in_its_middle():
    rays_o, rays_d = camera_rays(25)
    out = with_exact_grid(renderer(return_comp_normal=True)).eval()(rays_o, rays_d, LIGHT)
    middle = 2.0 * out["comp_normal"][:, 12, 12] - 1.0
    assert ((middle * -rays_d[:, 12, 12]).sum(-1) > 0.99).all()


def test_gradients_reach_the_field_through_every_picture():
    geometry = find("implicit-volume")(
        {
            "density_bias": -1.0,
            "normal_type": "analytic",
            "pos_encoding_config": {"otype": "HashGrid", "n_levels": 2, "log2_hashmap_size": 8, "base_resolution": 4},
        }
    )
    module = renderer(geometry, num_samples_per_ray=32, return_comp_normal=True).train()
    out = module(*camera_rays(8), torch.zeros(2, 3))
    for name in ("comp_rgb", "opacity", "depth", "z_variance", "comp_normal"):
        gradient = torch.autograd.grad(out[name].sum(), geometry.encoding.encoding.table, retain_graph=True)[0]
        assert gradient.isfinite().all(), name
        assert gradient.any() or name == "z_variance", name


def test_normals_are_available_under_inference_mode():
    geometry = find("implicit-volume")({"normal_type": "analytic", "density_bias": 1.0})
    module = renderer(geometry, num_samples_per_ray=16, return_comp_normal=True).eval()
    with torch.inference_mode():
        assert "comp_normal" in module(*camera_rays(4), LIGHT)


@pytest.mark.parametrize("estimator", ["proposal", "importance", "typo"])
def test_other_estimators_are_refused_in_one_line(estimator):
    with pytest.raises(UserError, match=f'estimator: "{estimator}" is unknown; known are occgrid'):
        renderer(estimator=estimator)
