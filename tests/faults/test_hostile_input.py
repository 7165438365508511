"""Whatever is given: a result, or one line that names it. 300 cases here; FAULT_CASES=3000 by `make faults`."""

import os

import pytest
import torch
from faults.hostile import NAMES, VALUES, YAMLS, checkpoints, pictures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import threestudio
from threestudio.errors import UserError
from threestudio.picture.picture import prepare_picture
from threestudio.utils.checkpoint import load_checkpoint
from threestudio.utils.config import dump_config, load_config, parse_structured
from threestudio.utils.console import one_line
from threestudio.utils.resume import differences, picture_of_run, refuse_incomplete

CASES = int(os.environ.get("FAULT_CASES", "300"))
LONGEST_LINE = 1200  # characters


def cases(share):
    """This test's share of all cases; a case that takes 20 s hangs."""
    unhealthy = list(HealthCheck)
    return settings(
        max_examples=max(1, round(share * CASES)),
        deadline=20_000,
        derandomize=CASES <= 300,
        suppress_health_check=unhealthy,
        database=None,
    )


def ends_well(call, *arguments, **keywords):
    """The result, or None after one line; anything else is a fault of ours."""
    try:
        return call(*arguments, **keywords)
    except Exception as error:
        line = one_line(error)
        if line is None:
            raise
        assert "\n" not in line and 0 < len(line) < LONGEST_LINE, line
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@given(content=pictures())
@cases(0.3)
def test_any_picture_is_prepared_or_named(folder, content):
    path = folder / "a.png"
    path.write_bytes(content)
    picture = ends_well(prepare_picture, path)
    assert picture is None or (picture.rgba >= 0).all() and (picture.rgba <= 1).all()


@given(text=YAMLS)
@cases(0.2)
def test_any_yaml_is_loaded_or_named(folder, text):
    path = folder / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    cfg = ends_well(load_config, str(path))
    if cfg is not None:
        dump_config(str(folder / "parsed.yaml"), cfg)
        assert load_config(str(folder / "parsed.yaml")) == cfg


@given(name=st.sampled_from(sorted(threestudio.__modules__)), data=st.data())
@cases(0.2)
def test_any_value_of_any_field_is_taken_or_refused_with_its_key(name, data):
    fields = getattr(threestudio.find(name), "Config", None)
    if fields is None or not fields.__dataclass_fields__:
        return
    key = data.draw(st.sampled_from(sorted(fields.__dataclass_fields__)))
    value = data.draw(VALUES)
    try:
        parse_structured(fields, {key: value})
    except UserError as error:
        assert key in str(error) and "\n" not in str(error)


@given(name=NAMES)
@cases(0.1)
def test_a_picture_of_any_name_is_found_again_by_its_config(folder, name):
    place = folder / name
    if name in (".", "..") or len(os.fsencode(name)) > 255:
        return
    place.write_bytes(b"x")
    given_by = ["use_timestamp=false", "tag=${basename:${data.image_path}}", f"data.image_path={place}"]
    cfg = load_config("name: toy", from_string=True, cli_args=given_by)
    assert cfg.data.image_path == str(place) and "/" not in cfg.tag
    place.unlink()


WHOLE = {
    "state_dict": {"geometry.color": torch.zeros(3)},
    **{"epoch": 0, "global_step": 4, "pytorch-lightning_version": "2.5", "loops": {}, "callbacks": {}},
    **{"optimizer_states": [{}], "lr_schedulers": [], "config": {"data_type": "", "data": {"image_path": "a.png"}}},
}


@given(content=checkpoints(WHOLE), train=st.booleans())
@cases(0.2)
def test_any_checkpoint_is_read_or_named(folder, content, train):
    path = folder / "last.ckpt"
    path.write_bytes(content)
    checkpoint = ends_well(load_checkpoint, path)
    if checkpoint is None:
        return
    try:
        refuse_incomplete(path, checkpoint, train)
    except UserError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        return
    cfg = load_config("{name: toy, tag: a, use_timestamp: false}", from_string=True)
    ends_well(load_config, "{name: toy, tag: a}", from_string=True, cli_args=picture_of_run(checkpoint, cfg))
    list(differences(checkpoint.get("config"), {}))
