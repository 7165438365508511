import pytest
import torch

from threestudio import find
from threestudio.errors import UserError

COUNT = 10


def lit(**config):
    return find("diffuse-with-point-light-material")({"ambient_only_steps": 0, **config})


def inputs(**changes):
    towards_light = torch.tensor([0.0, 0.0, 1.0]).expand(COUNT, 3)
    return {
        "features": torch.randn(COUNT, 3),
        "positions": torch.zeros(COUNT, 3),
        "light_positions": 5.0 * towards_light,
        "shading_normal": towards_light,
        "viewdirs": -towards_light,
        **changes,
    }


def test_a_surface_facing_the_light_shows_its_albedo_and_one_facing_away_a_tenth():
    material, given = lit().eval(), inputs()
    albedo = material.export(given["features"])["albedo"]
    torch.testing.assert_close(material(**given), albedo)
    away = material(**{**given, "shading_normal": -given["shading_normal"]})
    torch.testing.assert_close(away, 0.1 * albedo)


def test_textureless_shading_does_not_depend_on_the_features():
    material = lit().train()
    assert torch.equal(material(**inputs(), shading="textureless"), material(**inputs(), shading="textureless"))


def test_full_ambient_light_needs_no_normals_and_shows_the_albedo():
    material, given = lit().train(), inputs(shading_normal=None)
    assert not material.needs_normal(shading="diffuse", ambient_ratio=1.0)
    shaded = material(**given, shading="diffuse", ambient_ratio=1.0)
    torch.testing.assert_close(shaded, material.export(given["features"])["albedo"])


def test_normals_are_not_needed_until_shading_starts():
    material = lit(ambient_only_steps=100).train()
    material.update_step(0, 99)
    assert not material.requires_normal and not material.needs_normal(shading=None, height=64)
    material.update_step(0, 100)
    assert material.requires_normal and material.needs_normal(shading=None)
    assert not material.needs_normal(shading="albedo")


def test_ambient_only_on_test_affects_evaluation_alone():
    material = lit(ambient_only_on_test=True)
    assert material.train().requires_normal and not material.eval().requires_normal


def test_shading_is_drawn_at_the_given_rates_and_repeats_with_the_step():
    material = lit(diffuse_prob=0.8, textureless_prob=0.25).train()

    def shadings(count=400):
        material.update_step(0, 7)
        return [material._scheduled_shading() for _ in range(count)]

    drawn = shadings()
    assert drawn == shadings()
    assert abs(drawn.count("albedo") / len(drawn) - 0.2) < 0.07
    assert abs(drawn.count("textureless") / len(drawn) - 0.2) < 0.07


def test_unknown_shading_is_refused():
    with pytest.raises(UserError, match="unknown shading phong; known are albedo, textureless, diffuse"):
        lit()(**inputs(), shading="phong")


def test_no_material_is_the_activated_feature():
    features = torch.randn(COUNT, 3)
    material = find("no-material")({})
    torch.testing.assert_close(material(features=features, viewdirs=features), features.sigmoid())
    torch.testing.assert_close(material.export(features)["albedo"], features.sigmoid())
    assert not material.needs_normal(shading="diffuse")


def test_no_material_names_both_settings_that_disagree():
    with pytest.raises(UserError, match="4 features from the geometry, but n_output_dims is 3"):
        find("no-material")({})(features=torch.zeros(2, 4))


def test_no_material_can_put_a_network_between():
    network = {"otype": "VanillaMLP", "n_neurons": 8, "n_hidden_layers": 1}
    material = find("no-material")({"input_feature_dims": 6, "mlp_network_config": network})
    assert material(features=torch.zeros(2, 5, 6)).shape == (2, 5, 3)
