from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from threestudio.errors import UserError
from threestudio.utils.base import BaseObject
from threestudio.utils.config import load_config, parse_structured

MINIMAL = "name: toy\ntag: cat\nuse_timestamp: false\n"


@dataclass
class Guidance:
    guidance_scale: float = 3.0
    steps: Any = 25
    angles: tuple[float, float] = (-10.0, 80.0)
    views: list[int] = field(default_factory=list)


def written(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return str(path)


def test_an_unknown_key_fails_with_its_file_its_path_and_the_nearest_name(tmp_path):
    path = written(tmp_path, MINIMAL + "system: {guidance: {guidence_scale: 3}}")
    with pytest.raises(UserError) as error:
        parse_structured(Guidance, load_config(path).system.guidance)
    assert str(error.value) == f"{path}: unknown key system.guidance.guidence_scale; did you mean guidance_scale?"


def test_the_path_survives_several_levels_of_parsing(tmp_path):
    @dataclass
    class System:
        guidance: dict = field(default_factory=dict)

    path = written(tmp_path, MINIMAL + "system: {guidance: {guidance_scale: big}}")
    system = parse_structured(System, load_config(path).system)
    with pytest.raises(UserError, match=f"^{path}: system.guidance.guidance_scale: Value 'big' .* to Float$"):
        parse_structured(Guidance, system.guidance)


def test_an_unknown_key_from_the_command_line_is_blamed_on_it(tmp_path):
    cfg = load_config(written(tmp_path, MINIMAL), cli_args=["system.guidance.scale=3"])
    with pytest.raises(UserError, match="^command line: unknown key system.guidance.scale; did you mean guidance_sc"):
        parse_structured(Guidance, cfg.system.guidance)


def test_an_unknown_top_level_key_is_refused(tmp_path):
    with pytest.raises(UserError, match="unknown key sistem; did you mean system?"):
        load_config(written(tmp_path, MINIMAL + "sistem: {}"))


def test_command_line_overrides_win():
    cfg = load_config(MINIMAL + "data: {size: 1}", from_string=True, cli_args=["data.size=2", "seed=7"])
    assert (cfg.data.size, cfg.seed) == (2, 7)


def test_values_take_the_types_of_their_fields():
    cfg = parse_structured(Guidance, {"guidance_scale": 3, "angles": [0, 90], "views": [1, 2], "steps": [0, 1, 2, 3]})
    assert isinstance(cfg.guidance_scale, float)
    assert list(cfg.angles) == [0.0, 90.0]


def test_a_missing_value_is_named():
    @dataclass
    class Needy:
        path: str = "???"

    with pytest.raises(UserError, match="config: path must be given"):
        parse_structured(Needy, {})


def test_post_init_sees_the_parsed_values():
    @dataclass
    class Doubled:
        size: int = 1
        area: int = 0

        def __post_init__(self):
            self.area = self.size**2

    assert parse_structured(Doubled, {"size": 3}).area == 9


@pytest.mark.parametrize(
    "expression, value",
    [
        ("${calc_exp_lr_decay_rate:0.01,2}", 0.1),
        ("${add:1,2}", 3),
        ("${sub:1,2}", -1),
        ("${mul:3,2}", 6),
        ("${div:3,2}", 1.5),
        ("${idiv:3,2}", 1),
        ("${basename:a/b.png}", "b.png"),
        ("${rmspace:'a b',_}", "a_b"),
        ("${tuple2:3}", [3.0, 3.0]),
        ("${gt0:0.1}", True),
        ("${cmaxgt0:[0,0,0.1,3]}", True),
        ("${not:true}", False),
        ("${cmaxgt0orcmaxgt0:0,[0,1,0,3]}", True),
    ],
)
def test_resolvers_of_upstream(expression, value):
    assert load_config(MINIMAL + f'data: {{x: "{expression}"}}', from_string=True).data.x == value


def test_the_trial_folder_is_named_after_name_and_tag():
    assert load_config(MINIMAL, from_string=True).trial_dir == "outputs/toy/cat"


def test_a_timestamp_is_appended_and_kept_when_the_saved_config_is_loaded():
    cfg = load_config("name: toy\ntag: cat", from_string=True)
    assert cfg.trial_name.startswith("cat@2")
    again = load_config(f"name: toy\ntag: cat\ntimestamp: '{cfg.timestamp}'", from_string=True)
    assert again.trial_dir == cfg.trial_dir


def test_a_run_without_tag_and_timestamp_is_refused():
    with pytest.raises(UserError, match="give a tag"):
        load_config("use_timestamp: false", from_string=True)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--foo"], "command line: unknown argument --foo"),
        (["data.x"], "command line: unknown argument data.x; settings are given as key=value"),
        (["seed=x"], "command line: seed: Value 'x' of type 'str' could not be converted to Integer"),
        (["data.a=${foo.bar}"], "command line: data.a: Interpolation key 'foo.bar' not found"),
        (["data.a=[1"], "command line: data.a=[1: "),
        (["data.a=[cat].png"], "command line: data.a=[cat].png: "),
        (["=3"], "command line: unknown argument =3"),
        (["trainer=3"], "command line: trainer: "),
    ],
)
def test_wrong_arguments_fail_in_one_line(arguments, message):
    with pytest.raises(UserError) as error:
        load_config(MINIMAL, from_string=True, cli_args=arguments)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_list_cannot_be_overridden_entry_by_entry():
    with pytest.raises(UserError, match="command line: .*; replace the value as a whole"):
        load_config("data: {height: [32, 64]}", from_string=True, cli_args=["data.height.x=3"])


def test_the_base_name_of_nothing_is_nothing():
    config = "{tag: '${basename:${data.image_path}}', data: {image_path: null}}"
    assert load_config(config, from_string=True).tag == ""


@pytest.mark.parametrize(
    "text, message",
    [("a: [1", "not YAML"), ("- 1", "top level"), ("a: ${b", "x.yaml")],
)
def test_a_malformed_file_fails_in_one_line_with_its_name(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(UserError, match=message) as error:
        load_config(path)
    assert str(error.value).startswith(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match="nowhere.yaml: no such config file"):
        load_config("nowhere.yaml")


def test_a_component_parses_its_own_config():
    class Toy(BaseObject):
        @dataclass
        class Config(BaseObject.Config):
            size: int = 1

        def configure(self, factor):
            self.area = self.cfg.size * factor

    assert Toy({"size": 3}, factor=2).area == 6


SHIPPED = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("config", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.name)
def test_what_a_shipped_config_names_of_the_project_is_found_from_any_folder(tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    cfg = load_config(str(config), cli_args=["system.init_weights=x"] if "train" in config.name else [])
    if "image_path" in cfg.data:
        assert Path(cfg.data.image_path).is_file() and cfg.tag == "cat.png"


def test_a_picture_is_first_looked_for_where_the_user_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, name = str(SHIPPED / "cascade-zero123.yaml"), "load/images/cat.png"
    assert (
        load_config(config, cli_args=[f"data.image_path={name}"]).data.image_path == name
    )  # not there: it will say so
    Path(name).parent.mkdir(parents=True)
    Path(name).touch()
    cfg = load_config(config)
    assert cfg.data.image_path == cfg.system.guidance.cond_image_path == name


def test_a_file_of_other_bytes_is_no_text(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(UserError, match="x.yaml: not a text file"):
        load_config(str(tmp_path / "x.yaml"))


def test_a_key_of_several_lines_is_told_in_one():
    with pytest.raises(UserError, match="^config: views. : a number of 31 digits is too large$"):
        parse_structured(Guidance, {"views": {"\n": 10**30}})
