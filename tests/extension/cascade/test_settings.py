import pytest
from cascade_zero123.cascade.models import Choice
from cascade_zero123.cascade.settings import CascadeConfig, stages_of
from cascade_zero123.cascade.stages import NEARBY_DEG, Sampling
from cascade_zero123.common.errors import UserError

from threestudio.errors import UserError as HostError
from threestudio.utils.config import parse_structured


def cascade(upstream=("", ""), **given):
    return stages_of(parse_structured(CascadeConfig, given), "guidance", *upstream)


def choices(base, refiner=None, **more):
    return cascade(base=base, refiner=refiner or {}, **more)[0]


def test_the_refiner_defaults_to_base_with_all_that_base_says():
    base, refiner = choices({"weights": "xl.ckpt", "config": "xl.yaml", "pose_token": "zero123"})
    assert refiner == base == Choice("xl.ckpt", "xl.yaml", "zero123")
    _, refiner = choices({"weights": "xl.ckpt"}, {"pose_token": "stable-zero123"})
    assert refiner == Choice("xl.ckpt", None, "stable-zero123")


def test_a_refiner_with_weights_of_its_own_takes_nothing_else_from_base():
    base, refiner = choices({"weights": "xl.ckpt", "config": "xl.yaml"}, {"weights": "refiner", "config": None})
    assert refiner == Choice("refiner")
    assert base == Choice("xl.ckpt", "xl.yaml")


def test_upstream_s_names_are_base_and_its_ldm_config_counts_for_a_checkpoint_only(tmp_path):
    (tmp_path / "xl.ckpt").touch()
    file, folder = str(tmp_path / "xl.ckpt"), str(tmp_path)
    assert choices({}, upstream=(file, "xl.yaml"))[0] == Choice(file, "xl.yaml")
    assert choices({}, upstream=(folder, "xl.yaml"))[0] == Choice(folder)
    assert choices({"weights": "mine"}, upstream=(folder, ""))[0] == Choice("mine")


def test_a_list_names_any_number_of_models_each_with_its_views():
    models, stages = cascade(
        cascade=[
            {"weights": "a", "views": [[45, 0]], "steps": 1, "scale": 1, "seed": 3},
            {"weights": "b", "pose_token": "stable-zero123", "chain": True},
            {"pose_token": "zero123"},
        ]
    )
    assert models == [Choice("a"), Choice("b", None, "stable-zero123"), Choice("b", None, "zero123")]
    assert list(stages[0].offsets_deg) == [(45.0, 0.0)] and stages[0].sampling == Sampling(1, 1.0, 3)
    assert tuple(stages[1].offsets_deg) == NEARBY_DEG and stages[1].sampling == Sampling(25, 3.0, 0)
    assert [stage.chain for stage in stages] == [False, True, False]


def test_the_older_keys_change_the_ends_of_a_list():
    entries = [{"weights": "a", "config": "a.yaml", "steps": 1}, {"weights": "b"}, {"weights": "c"}]
    models, stages = cascade(
        cascade=entries, base={"weights": "x"}, refiner={"weights": "z"}, prompt_steps=7, prompt_views=[]
    )
    assert models == [Choice("x"), Choice("b"), Choice("z")]
    assert list(stages[0].offsets_deg) == [] and stages[0].sampling.steps == 7 and stages[1].sampling.steps == 25


def test_the_older_keys_alone_are_a_cascade_of_two():
    models, stages = cascade(base={"weights": "x"}, prompt_scale=2.0, prompt_seed=4)
    assert models == [Choice("x"), Choice("x")]
    assert stages[0].sampling == Sampling(25, 2.0, 4) and tuple(stages[0].offsets_deg) == NEARBY_DEG


def test_a_cascade_of_one_model_is_plain_zero123():
    models, stages = cascade(cascade=[{"weights": "x"}])
    assert models == [Choice("x")] and len(stages) == 1
    assert cascade(cascade=[{"weights": "x"}], base={"weights": "y"})[0] == [Choice("y")]


@pytest.mark.parametrize("name", ["base", "refiner"])
def test_an_unknown_key_is_refused_with_the_known_ones(name):
    given = {"base": {"weights": "x"}, "refiner": {}}
    given[name] = {"weights": "x", "poses": "y"}
    with pytest.raises(UserError, match=rf"guidance.{name}.poses: unknown key; known are weights, config, pose_token"):
        cascade(**given)


def test_a_name_of_digits_is_a_name_and_a_list_is_not():
    assert choices({"weights": 105000})[0].weights == "105000"
    assert cascade(cascade=[{"weights": 105000}])[0][0].weights == "105000"
    with pytest.raises(UserError, match=r"guidance.base.weights: \['a', 'b'\] is not a name"):
        choices({"weights": ["a", "b"]})


@pytest.mark.parametrize(
    "entries, message",
    [
        (["base"], r"guidance.cascade\[0\]: base is not a stage"),
        ([{"weights": "x", "step": 1}], r"guidance.cascade\[0\].step: unknown key; known are weights, .*, steps"),
        ([{"weights": "x"}, {"weights": ["a"]}], r"guidance.cascade\[1\].weights: \['a'\] is not a name"),
        ([{}, {"weights": "x"}, {}], r"guidance.cascade\[0\].weights must be given"),
        ([{"weights": "x", "views": [[1]]}], r"guidance.cascade\[0\].views: .* is not a list of \[azimuth_deg"),
        ([{"weights": "x", "steps": 0}], r"steps: 0 is not within 1 and 1000 of DDIM"),
    ],
)
def test_what_is_no_stage_is_refused_by_its_place(entries, message):
    with pytest.raises((UserError, HostError), match=message) as caught:
        cascade(cascade=entries)
    assert "\n" not in str(caught.value)
