from threestudio.utils.named_weights import named_weights

LIST = [{"weights": "a", "config": "a.yaml"}, {"weights": "b"}, {"weights": "c"}]


def test_the_list_names_its_models_in_order():
    assert list(named_weights({"cascade": LIST})) == ["base", "stage 2", "refiner"]
    assert named_weights({"cascade": LIST})["base"] == {"weights": "a", "config": "a.yaml"}
    assert list(named_weights({"cascade": LIST[:1]})) == ["base"]


def test_the_older_keys_name_the_ends_alone_or_beside_a_list():
    old = {"base": {"weights": "x"}, "refiner": {"weights": "z"}}
    assert named_weights(old) == old
    both = named_weights({"cascade": LIST, **old})
    assert [block["weights"] for block in both.values()] == ["x", "b", "z"] and both["base"] == {"weights": "x"}


def test_what_has_the_weights_of_the_one_before_is_left_out():
    assert named_weights({"cascade": [{"weights": "a"}, {"weights": None}]}) == {"base": {"weights": "a"}}
    assert named_weights({"base": {"weights": "x"}}) == {"base": {"weights": "x"}}
    assert named_weights({}) == {}
