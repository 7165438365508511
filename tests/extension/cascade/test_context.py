import torch
from cascade_zero123.cascade.context import EncodedViews, transitions
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.pose import pose_token
from tiny_zero123 import SIZE, tiny_model

SOURCE = Cameras.one(10.0, 0.0, 3.8)
NEARBY = SOURCE.beside([(45.0, 0.0), (-45.0, 0.0), (0.0, 30.0)])
SHOWN = Cameras.join([SOURCE, NEARBY])
TARGETS = Cameras(torch.tensor([0.0, 35.0]), torch.tensor([100.0, -20.0]), torch.tensor([3.8, 3.0]))


def shown():
    return Views(torch.rand(4, 3, SIZE, SIZE), SHOWN)


def context(model, views, targets=TARGETS):
    return EncodedViews.of(model, views[None]).context(model, targets[None])


def of_one_object(views, targets):
    return transitions(views[None], targets[None])[0]


def test_offsets_are_azimuth_then_elevation_from_the_source():
    torch.testing.assert_close(NEARBY.azimuth_deg, torch.tensor([45.0, -45.0, 0.0]))
    torch.testing.assert_close(NEARBY.elevation_deg, torch.tensor([10.0, 10.0, 40.0]))
    torch.testing.assert_close(NEARBY.distance, torch.full((3,), 3.8))


def test_transition_of_a_view_to_itself_is_the_zero_transition():
    for view in range(3):
        found = of_one_object(NEARBY, NEARBY)[view, view]
        torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 1.0, 0.0]))


def test_transitions_hold_each_view_to_each_target():
    found = of_one_object(NEARBY, TARGETS)
    assert found.shape == (2, 3, 4)
    for target in range(2):
        for view in range(3):
            one = pose_token(TARGETS[[target]], NEARBY[[view]])
            torch.testing.assert_close(found[target, view], one[0])


def test_poses_compose_by_subtraction():
    """Source -> target in azimuth is source -> view plus view -> target, as angles."""
    to_target, to_view = (of_one_object(SOURCE, others)[:, 0].double() for others in (TARGETS, NEARBY))
    view_to_target = of_one_object(NEARBY, TARGETS).double()

    def angle(token):
        return torch.atan2(token[..., 1], token[..., 2])

    composed = angle(to_view)[None] + angle(view_to_target)
    torch.testing.assert_close(torch.cos(composed), to_target[:, None, 2].expand(2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(to_view[None, :, 0] + view_to_target[..., 0], to_target[:, None, 0].expand(2, 3))


def test_tokens_are_the_source_then_each_view_along_the_token_axis():
    model, views = tiny_model(), shown()
    tokens = context(model, views).tokens
    assert tokens.shape[:2] == (2, 4)
    for view in range(4):
        embedding = model.image_embedding(views.pictures[view : view + 1]).expand(2, -1, -1)
        pose = of_one_object(SHOWN[view : view + 1], TARGETS)
        torch.testing.assert_close(tokens[:, view : view + 1], model.context_tokens(embedding, pose))


def test_latents_and_class_vector_are_those_of_the_source_alone():
    model, views = tiny_model(), shown()
    with_views, plain = context(model, views), context(model, views[:1])
    assert plain.tokens.shape[1] == 1
    torch.testing.assert_close(with_views.concat, plain.concat)
    torch.testing.assert_close(with_views.vector, plain.vector)
    torch.testing.assert_close(with_views.concat[0], model.source_latents(views.pictures[:1])[0])
    torch.testing.assert_close(with_views.tokens[:, :1], plain.tokens)


def test_the_coarse_target_comes_last_with_the_zero_transition():
    model = tiny_model()
    coarse = Views(torch.rand(2, 3, SIZE, SIZE), TARGETS)
    each = EncodedViews.of(model, shown()[None]).for_each(2).with_more(model, coarse[:, None])
    tokens = each.context(model, TARGETS[:, None]).tokens
    assert tokens.shape[1] == 5
    zero_transition = torch.tensor([0.0, 0.0, 1.0, 0.0]).expand(2, 1, 4)
    torch.testing.assert_close(
        tokens[:, 4:], model.context_tokens(model.image_embedding(coarse.pictures), zero_transition)
    )


def test_rows_of_a_batch_have_the_context_that_each_has_alone():
    model = tiny_model()
    views = Views(torch.rand(2, 4, 3, SIZE, SIZE), SHOWN.repeated(2).reshape(2, 4))
    targets = TARGETS.reshape(2, 1)
    together = EncodedViews.of(model, views).context(model, targets)
    for row in range(2):
        alone = context(model, views[row], targets[row])
        for name in ("tokens", "concat", "vector"):
            torch.testing.assert_close(getattr(together, name)[row : row + 1], getattr(alone, name))


def test_the_unconditional_context_is_zero_in_the_same_shapes():
    given = context(tiny_model(), shown())
    nothing = given.unconditional()
    for name in ("tokens", "concat", "vector"):
        assert getattr(nothing, name).shape == getattr(given, name).shape
        assert not getattr(nothing, name).any()
