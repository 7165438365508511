"""The tables' rows: names, settings and text; that a run of one ends well is test_small_run's."""

import pytest

import threestudio
from studies.truth_teller import guidance  # noqa: F401  (registers it)
from studies.truth_teller.command import main, parsed, rows_of
from studies.truth_teller.runs import Row, assignments
from studies.truth_teller.tables import CONFIGS, LAYOUTS, STRENGTHS, VARIANTS, falls_short, markdown, reduced
from threestudio.utils.config import load_config, parse_structured

SCORES = {"psnr": 30.0, "mask_iou": 0.98, "chamfer": 0.005, "seconds": 60.0}


def rows(*arguments):
    return rows_of(*parsed([*arguments, "--out", "x"]))


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["outcome", "--objects", "generated:1", "generated:2"], 2 * len(CONFIGS)),
        (
            ["errors", "--objects", "generated:1", "--strengths", "1", "--variants", *VARIANTS],
            len(VARIANTS) * (1 + len(STRENGTHS)),
        ),
        (["cascade", "--objects", "generated:1", "--strengths", "2"], len(LAYOUTS)),
    ],
)
def test_every_row_has_a_folder_of_its_own_and_settings_that_the_guidance_takes(arguments, count):
    found = rows(*arguments)
    assert len({row.name for row in found}) == len(found) == count
    for row in found:
        cfg = load_config(str(row.config), cli_args=assignments(row.settings))
        parse_structured(threestudio.find(cfg.system.guidance_type).Config, cfg.system.guidance)


def test_the_published_sizes_are_untouched_but_where_a_row_is_said_to_be_reduced():
    (row,) = rows("outcome", "--objects", "generated:1", "--config", str(CONFIGS[1]))
    assert not {key for key in row.settings if "max_steps" in key or "loss" in key or "height" in key}
    cfg = load_config(str(row.config), cli_args=assignments(row.settings))
    assert (cfg.trainer.max_steps, cfg.system.guidance.get("truth_size", 256)) == (1000, 256)


def test_a_reduced_run_has_every_schedule_as_much_shorter():
    small = reduced(CONFIGS[0], 500)
    assert small["system.guidance.max_step_percent"] == [0, 0.9, 0.5, 400]
    assert small["system.loss.lambda_opaque"] == [200, 0.0, 1.0, 400]


def test_changes_of_settings_are_given_as_to_launch_py():
    arguments, changes = parsed(["outcome", "--out", "x", "trainer.max_steps=5", "data.height=[8, 16]"])
    assert changes == {"trainer.max_steps": 5, "data.height": [8, 16]}


def test_the_table_has_a_line_for_each_row():
    text = markdown([(Row("a label", CONFIGS[0], "folder/chair.glb"), SCORES)])
    assert text.splitlines()[2] == "| a label | chair.glb | 30.0 | 0.980 | 0.0050 | 60 |"


def test_a_good_mesh_falls_short_in_nothing_and_others_are_told_in_what():
    assert falls_short(SCORES) == []
    assert falls_short(SCORES | {"psnr": 28.9, "chamfer": 0.009}) == ["psnr", "chamfer"]


def test_an_object_that_is_not_there_is_told_in_one_line(tmp_path, capsys):
    assert main(["outcome", "--out", str(tmp_path), "--objects", "nothing.glb"]) == 2
    assert capsys.readouterr().err.startswith("nothing.glb: no such mesh")
