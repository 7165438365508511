import pytest

import threestudio
from threestudio.errors import UserError


@pytest.fixture
def components(monkeypatch):
    threestudio.load_components()  # not into this test's
    modules = {}
    monkeypatch.setattr("threestudio.registry.modules", modules)
    return modules


def test_a_registered_class_is_found_by_its_name(components):
    @threestudio.register("toy")
    class Toy:
        pass

    assert threestudio.find("toy") is Toy


def test_a_second_class_of_the_same_name_is_refused(components):
    threestudio.register("toy")(type("First", (), {"__module__": "a"}))
    with pytest.raises(UserError, match='name "toy" of b.Second is already taken by a.First'):
        threestudio.register("toy")(type("Second", (), {"__module__": "b"}))


def test_a_misspelt_component_is_named_with_the_nearest_right_name(components):
    components["cascade-zero123-guidance"] = object
    with pytest.raises(UserError, match='no component "cascade-guidnce"; did you mean "cascade-zero123-guidance"?'):
        threestudio.find("cascade-guidnce")


def test_mixins_come_before_the_main_class(components):
    components.update(main=type("Main", (), {"x": 1}), a=type("A", (), {"x": 2}), b=type("B", (), {"x": 3, "y": 4}))
    mixed = threestudio.find("main:a,b")
    assert (mixed.x, mixed.y) == (2, 4)
    assert issubclass(mixed, components["main"])
