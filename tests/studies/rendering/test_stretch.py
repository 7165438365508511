import numpy as np
import pytest
import trimesh
from PIL import Image

from studies.rendering import lights, stretch


@pytest.fixture
def scene():
    """A red box at one side of a textured ball, y the axis that is mirrored."""
    box = trimesh.creation.box((0.2, 0.2, 0.2)).apply_translation((0, 0.4, 0))
    box.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(baseColorFactor=(200, 0, 0, 255))
    )
    ball = trimesh.creation.icosphere(2, 0.3)
    texture = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), (0, 100, 50)))
    ball.visual = trimesh.visual.TextureVisuals(uv=np.zeros((len(ball.vertices), 2)), material=texture)
    return trimesh.Scene([box, ball])


def variants(scene, count=40):
    return [stretch.stretched(scene, np.random.default_rng(seed)) for seed in range(count)]


def test_variants_are_centred_with_largest_side_1(scene):
    for variant in variants(scene, 10):
        np.testing.assert_allclose(variant.bounds.mean(axis=0), 0, atol=1e-6)
        assert variant.extents.max() == pytest.approx(1)


def test_proportions_change_by_no_more_than_the_stretch_of_two_axes(scene):
    before = scene.extents / scene.extents.max()
    ratios = np.array([variant.extents / variant.extents.max() / before for variant in variants(scene)])
    assert (np.abs(np.log(ratios)) <= 2 * stretch.STRETCH + 1e-6).all()
    assert np.log(ratios).std() > 0.05


def test_about_half_of_the_variants_are_mirrored_and_keep_their_outsides_out(scene):
    mirrored = 0
    for variant in variants(scene):
        box, ball = variant.dump()
        mirrored += box.centroid[1] < ball.centroid[1]
        assert box.volume > 0 and ball.volume > 0
    assert 10 <= mirrored <= 30


def test_some_materials_change_colour_and_the_given_scene_does_not(scene):
    colours = {tuple(variant.dump()[0].visual.material.baseColorFactor) for variant in variants(scene)}
    textures = {
        tuple(np.asarray(variant.dump()[1].visual.material.baseColorTexture)[0, 0]) for variant in variants(scene)
    }
    assert (200, 0, 0, 255) in colours and len(colours) > 5
    assert (0, 100, 50) in textures and len(textures) > 5
    np.testing.assert_array_equal(scene.dump()[0].visual.material.baseColorFactor, (200, 0, 0, 255))


def test_light_comes_from_anywhere_and_varies_in_strength():
    drawn = [lights.any_light(np.random.default_rng(seed)) for seed in range(200)]
    assert np.ptp([light.azimuth_deg for light in drawn]) > 300
    assert min(light.elevation_deg for light in drawn) < 0 < 70 < max(light.elevation_deg for light in drawn)
    assert min(light.ambient for light in drawn) < 0.5 and max(light.ambient for light in drawn) > 0.9
