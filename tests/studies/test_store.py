"""What every study keeps: settings beside results, and scores as they come."""

import json

import pytest

from studies.store import KeptScores, keep_settings, refuse_others
from threestudio.errors import UserError


def told(key, there, here):
    return f"{key} is {there} there, {here} here"


def test_the_same_settings_are_taken_up_whatever_json_makes_of_them(tmp_path):
    settings = {"sizes": (64, 128), "system": {"loss": {1: 0.5}}}
    keep_settings(tmp_path / "new" / "settings.json", settings, told)
    keep_settings(tmp_path / "new" / "settings.json", settings, told)
    assert json.loads((tmp_path / "new" / "settings.json").read_text())["sizes"] == [64, 128]


def test_other_settings_are_refused_by_the_first_key_and_what_is_kept_stays(tmp_path):
    path = tmp_path / "settings.json"
    keep_settings(path, {"seed": 0, "system": {"loss": {"a": 1.0}}}, told)
    before = path.read_bytes()
    with pytest.raises(UserError, match="system.loss.a is 1.0 there, 2.0 here"):
        keep_settings(path, {"seed": 0, "system": {"loss": {"a": 2.0}}}, told)
    with pytest.raises(UserError, match="seed is 0 there, unset here"):
        refuse_others({"seed": 0}, {}, told)
    assert path.read_bytes() == before


def test_scores_go_on_after_a_line_that_was_cut_off(tmp_path):
    first = KeptScores(tmp_path, "base", {"weights": "a"})
    first.add({0: {"Base": {"sample": {"PSNR": 20.0}}}, 1: {"Base": {"sample": {"PSNR": 21.0}}}})
    with open(first.path, "a") as file:
        file.write('{"object": 2, "sco')
    again = KeptScores(tmp_path, "base", {"weights": "a"})
    assert again.missing([0, 1, 2]) == [2] and again.scores == first.scores
    again.add({2: {"Base": {"sample": {"PSNR": 22.0}}}})
    assert KeptScores(tmp_path, "base", {"weights": "a"}).missing([0, 1, 2]) == []


def test_scores_of_other_weights_are_others(tmp_path):
    KeptScores(tmp_path, "base", {"weights": "a"}).add({0: {}})
    assert KeptScores(tmp_path, "base", {"weights": "b"}).missing([0]) == [0]
