import math

import pytest
import torch
import torch.nn.functional as F

from threestudio import find
from threestudio.errors import UserError

GRID = {"otype": "HashGrid", "n_levels": 3, "log2_hashmap_size": 10, "base_resolution": 4, "per_level_scale": 1.5}


def volume(**config):
    return find("implicit-volume")({"pos_encoding_config": GRID, **config})


def points(count=40):
    return 1.8 * torch.rand(count, 3) - 0.9


def with_texture(geometry):
    torch.nn.init.normal_(geometry.encoding.encoding.table)
    return geometry


def test_a_number_as_bias_starts_as_even_fog():
    density = volume(density_bias=-2.0).forward_density(points())
    torch.testing.assert_close(density, torch.full_like(density, F.softplus(torch.tensor(-2.0))), atol=1e-3, rtol=0)


def test_the_magic3d_blob_falls_linearly_and_the_dreamfusion_blob_as_a_gaussian():
    x = torch.tensor([[0.0, 0.0, 0.0], [0.25, 0.0, 0.0], [0.0, 0.0, 0.5]])
    settings = {"density_activation": "none", "density_blob_scale": 10.0, "density_blob_std": 0.5}
    magic3d = volume(density_bias="blob_magic3d", **settings).forward_density(x)[:, 0]
    torch.testing.assert_close(magic3d, torch.tensor([10.0, 5.0, 0.0]), atol=1e-2, rtol=0)
    dreamfusion = volume(density_bias="blob_dreamfusion", **settings).forward_density(x)[:, 0]
    expected = torch.tensor([10.0, 10.0 * math.exp(-0.125), 10.0 * math.exp(-0.5)])
    torch.testing.assert_close(dreamfusion, expected, atol=1e-2, rtol=0)


def test_the_blob_grows_between_two_steps_and_is_constant_outside():
    annealing = {"min_anneal_step": 10, "max_anneal_step": 20, "start_val": 0.5, "end_val": 2.0}
    settings = {"density_activation": "none", "density_blob_scale": 10.0, "density_bias": "blob_magic3d"}
    geometry, x = volume(anneal_density_blob_std_config=annealing, **settings), torch.tensor([[0.25, 0.0, 0.0]])
    for step, std in ((0, 0.5), (10, 0.5), (15, 1.25), (20, 2.0), (99, 2.0), (12, 0.8)):
        geometry.do_update_step(0, step)
        assert geometry.forward_density(x).item() == pytest.approx(10.0 * (1 - 0.25 / std), abs=1e-2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_anneal_step": -1}, "min_anneal_step: -1 is not within 0 and"),
        ({"end_value": 2.0}, "unknown key .*end_value; did you mean end_val"),
        ({"min_anneal_step": 7, "max_anneal_step": 7}, "its steps must increase"),
    ],
)
def test_a_wrong_annealing_of_the_blob_is_named(wrong, message):
    with pytest.raises(UserError, match=message):
        volume(anneal_density_blob_std_config=wrong)


def test_all_calls_agree_on_density_and_features():
    geometry, x = with_texture(volume(normal_type="analytic")), points().reshape(4, 10, 3)
    fields = geometry(x)
    assert fields["density"].shape == (4, 10, 1) and fields["features"].shape == (4, 10, 3)
    torch.testing.assert_close(geometry.forward_density(x), fields["density"])
    torch.testing.assert_close(geometry.forward_field(x)[0], fields["density"])
    torch.testing.assert_close(geometry.export(x)["features"], fields["features"])
    torch.testing.assert_close(geometry(x, output_normal=True)["density"], fields["density"])
    torch.testing.assert_close(geometry.forward_level(fields["density"], 3.0), 3.0 - fields["density"])


@pytest.mark.parametrize("normal_type", ["analytic", "finite_difference", "finite_difference_laplacian"])
def test_normals_of_a_blob_point_outwards(normal_type):
    geometry = volume(normal_type=normal_type, density_bias="blob_dreamfusion", finite_difference_normal_eps=1e-3)
    x = F.normalize(points(), dim=-1) * 0.5
    normal = geometry(x, output_normal=True)["normal"]
    assert (normal * F.normalize(x, dim=-1)).sum(-1).min() > 0.99


def test_central_differences_approach_the_analytic_normal():
    geometry = with_texture(volume(normal_type="analytic", density_bias=1.0).double())
    x = points().double()
    analytic = geometry(x, output_normal=True)["normal"]
    geometry.cfg.normal_type, geometry.cfg.finite_difference_normal_eps = "finite_difference_laplacian", 1e-7
    torch.testing.assert_close(geometry(x, output_normal=True)["normal"], analytic, atol=1e-3, rtol=0)


@pytest.mark.parametrize("normal_type", ["analytic", "finite_difference", "pred"])
def test_a_loss_on_normals_trains_the_field(normal_type):
    geometry = with_texture(volume(normal_type=normal_type, density_bias=1.0))
    geometry(points(), output_normal=True)["normal"][:, 0].sum().backward()
    assert geometry.encoding.encoding.table.grad.abs().sum() > 0


def test_analytic_normals_leave_no_graph_where_none_is_wanted():
    geometry, x = volume(normal_type="analytic"), points()
    with torch.no_grad():
        fields = geometry(x, output_normal=True)
    assert not any(value.requires_grad for value in fields.values()) and not x.requires_grad


def test_a_density_field_alone_has_no_features():
    geometry = volume(n_feature_dims=0)
    assert set(geometry(points())) == {"density"} and geometry.export(points()) == {}


def test_the_isosurface_of_a_blob_is_a_sphere():
    geometry = volume(density_bias="blob_magic3d", isosurface_resolution=48, isosurface_threshold=5.0)
    radius = torch.from_numpy(geometry.isosurface().positions).norm(dim=-1)
    # softplus(10 (1 - r / 0.5)) = 5 at r = 0.25
    assert (radius - 0.25).abs().max() < 0.02


def test_wrong_settings_are_refused_in_one_line():
    with pytest.raises(UserError, match='density_bias: "blob" is not a number; .* or one of blob_magic3d'):
        volume(density_bias="blob")
    with pytest.raises(UserError, match='normal_type: "exact" is unknown; known are analytic'):
        volume(normal_type="exact")
    with pytest.raises(UserError, match="normals are needed .*, but the geometry has normal_type null"):
        volume(normal_type=None)(points(), output_normal=True)
    with pytest.raises(UserError, match="unknown activation cube"):
        volume(density_activation="cube")
