import torch
from cascade_zero123.cascade.context import Cascade, beside, joined, transitions
from cascade_zero123.zero123.pose import Pose, pose_token
from tiny_zero123 import SIZE, tiny_model

SOURCE = Pose(torch.tensor([10.0]), torch.tensor([0.0]), torch.tensor([3.8]))
NEARBY = beside(SOURCE, [(45.0, 0.0), (-45.0, 0.0), (0.0, 30.0)])
TARGETS = Pose(torch.tensor([0.0, 35.0]), torch.tensor([100.0, -20.0]), torch.tensor([3.8, 3.0]))


def cascade(model):
    images = torch.rand(4, 3, SIZE, SIZE)
    return images, Cascade.of(model, images, joined(SOURCE, NEARBY))


def test_offsets_are_azimuth_then_elevation_from_the_source():
    torch.testing.assert_close(NEARBY.azimuth_deg, torch.tensor([45.0, -45.0, 0.0]))
    torch.testing.assert_close(NEARBY.elevation_deg, torch.tensor([10.0, 10.0, 40.0]))
    torch.testing.assert_close(NEARBY.distance, torch.full((3,), 3.8))


def test_transition_of_a_view_to_itself_is_the_zero_transition():
    for view in range(3):
        found = transitions(NEARBY, NEARBY)[view, view]
        torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 1.0, 0.0]))


def test_transitions_hold_each_view_to_each_target():
    found = transitions(NEARBY, TARGETS)
    assert found.shape == (2, 3, 4)
    for target in range(2):
        for view in range(3):
            one = pose_token(Pose(*(v[[target]] for v in TARGETS)), Pose(*(v[[view]] for v in NEARBY)))
            torch.testing.assert_close(found[target, view], one[0])


def test_poses_compose_by_subtraction():
    """Source -> target in azimuth is source -> view plus view -> target, as angles."""
    to_target, to_view = transitions(SOURCE, TARGETS)[:, 0].double(), transitions(SOURCE, NEARBY)[:, 0].double()
    view_to_target = transitions(NEARBY, TARGETS).double()

    def angle(token):
        return torch.atan2(token[..., 1], token[..., 2])

    composed = angle(to_view)[None] + angle(view_to_target)
    torch.testing.assert_close(torch.cos(composed), to_target[:, None, 2].expand(2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(to_view[None, :, 0] + view_to_target[..., 0], to_target[:, None, 0].expand(2, 3))


def test_tokens_are_the_source_then_each_view_along_the_token_axis():
    model = tiny_model()
    images, views = cascade(model)
    context = views.context(model, TARGETS)
    assert context.tokens.shape[:2] == (2, 4)
    poses = joined(SOURCE, NEARBY)
    for view in range(4):
        embedding = model.image_embedding(images[view : view + 1]).expand(2, -1, -1)
        pose = transitions(Pose(*(value[view : view + 1] for value in poses)), TARGETS)
        expected = model.context_tokens(embedding, pose)
        torch.testing.assert_close(context.tokens[:, view : view + 1], expected)


def test_latents_and_class_vector_are_those_of_the_source_alone():
    model = tiny_model()
    images, views = cascade(model)
    with_views = views.context(model, TARGETS)
    plain = Cascade.of(model, images[:1], SOURCE).context(model, TARGETS)
    assert plain.tokens.shape[1] == 1
    torch.testing.assert_close(with_views.concat, plain.concat)
    torch.testing.assert_close(with_views.vector, plain.vector)
    torch.testing.assert_close(with_views.concat[0], model.source_latents(images[:1])[0])
    torch.testing.assert_close(with_views.tokens[:, :1], plain.tokens)


def test_the_coarse_target_comes_last_with_the_zero_transition():
    model = tiny_model()
    _, views = cascade(model)
    coarse = model.image_embedding(torch.rand(2, 3, SIZE, SIZE))
    context = views.context(model, TARGETS, coarse)
    assert context.tokens.shape[1] == 5
    expected = model.context_tokens(coarse, torch.tensor([0.0, 0.0, 1.0, 0.0]).expand(2, 1, 4))
    torch.testing.assert_close(context.tokens[:, 4:], expected)


def test_the_unconditional_context_is_zero_in_the_same_shapes():
    model = tiny_model()
    context = cascade(model)[1].context(model, TARGETS)
    nothing = context.unconditional()
    for name in ("tokens", "concat", "vector"):
        assert getattr(nothing, name).shape == getattr(context, name).shape
        assert not getattr(nothing, name).any()
