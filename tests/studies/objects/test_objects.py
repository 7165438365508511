import numpy as np
import pytest

from studies.objects import FAMILIES, family_names, make_object, object_seed
from studies.objects.samples import SAMPLES, make_sample


@pytest.mark.parametrize("family", family_names())
def test_every_family_makes_finite_coloured_meshes_in_a_centred_box_with_largest_side_one(family):
    for seed in range(8):
        mesh = make_object(seed, family)
        vertices = np.asarray(mesh.vertices)
        assert np.isfinite(vertices).all()
        np.testing.assert_allclose(vertices.max(axis=0) + vertices.min(axis=0), 0, atol=1e-9)
        assert np.ptp(vertices, axis=0).max() == pytest.approx(1.0)
        assert len(mesh.faces) > 100 and mesh.faces.max() < len(vertices)
        assert mesh.visual.kind == "vertex" and mesh.visual.vertex_colors.shape == (len(vertices), 4)
        assert mesh.area > 0.05
        assert mesh.metadata["family"] == family


def test_a_seed_always_gives_the_same_object():
    first, second = make_object(1234), make_object(1234)
    np.testing.assert_array_equal(first.vertices, second.vertices)
    np.testing.assert_array_equal(first.visual.vertex_colors, second.visual.vertex_colors)


def test_different_seeds_give_different_objects():
    extents = {tuple(np.round(make_object(seed, "quadruped").extents, 6)) for seed in range(20)}
    assert len(extents) == 20


def test_detail_refines_the_mesh_and_changes_nothing_else():
    for seed in range(10):
        coarse, fine = make_object(seed), make_object(seed, detail=2.0)
        assert len(fine.vertices) > 2 * len(coarse.vertices)
        np.testing.assert_allclose(coarse.extents, fine.extents, atol=0.06)
        colours = [mesh.visual.vertex_colors[:, :3].mean(axis=0) for mesh in (coarse, fine)]
        np.testing.assert_allclose(*colours, atol=25)


def test_splits_share_no_seed():
    ranges = [(object_seed(split, 0), object_seed(split, 10**9 - 1)) for split in ("train", "val", "test")]
    for (_, end), (start, _) in zip(ranges, ranges[1:], strict=False):
        assert end < start


@pytest.mark.parametrize("index", [-1, 10**9])
def test_an_index_outside_its_split_is_refused(index):
    with pytest.raises(ValueError, match="expected 0 to 999999999"):
        object_seed("val", index)


def test_all_families_are_drawn():
    from studies.objects import drawn_family

    assert {drawn_family(seed) for seed in range(2000)} == set(FAMILIES)


def test_an_unknown_family_is_refused_by_name():
    with pytest.raises(ValueError, match='no object family "unicorn"'):
        make_object(0, "unicorn")


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_test_objects(name):
    assert make_sample(name, detail=1.0).metadata["seed"] >= object_seed("test", 0)
