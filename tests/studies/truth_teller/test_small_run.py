"""The whole path in small: launch.py with the truth-teller, interrupted and taken up, ends in a good mesh."""

import json

import pytest

from studies.truth_teller.runs import Row, Runs
from studies.truth_teller.tables import CONFIGS, reduced
from threestudio.errors import UserError

STEPS = 120
SMALL = reduced(CONFIGS[0], STEPS) | {
    "system.guidance.truth_size": 64,
    "data.height": 32,
    "data.width": 32,
    "data.random_camera.height": 32,
    "data.random_camera.width": 32,
    "data.resolution_milestones": [],
    "data.random_camera.resolution_milestones": [],
    "data.random_camera.batch_size": 1,
    "data.random_camera.n_test_views": 1,
    "system.renderer.num_samples_per_ray": 64,
    "system.exporter.texture_size": 256,
    "system.surface.steps": 40,
    "system.surface.field_size": 48,
    "checkpoint.every_n_train_steps": STEPS // 2,
}
# It has 21.1, 0.870 and 0.0245; without guidance 14.5, 0.405 and 0.1155.
LEAST_PSNR, LEAST_IOU, MOST_CHAMFER = 20.0, 0.84, 0.03


def row(**changes):
    return Row("small", CONFIGS[0], "generated:6", SMALL | changes)


def test_a_small_run_that_was_interrupted_ends_in_a_mesh_of_the_true_object(tmp_path):
    runs, half = Runs(tmp_path), {"trainer.max_steps": STEPS // 2, "export_after_train": False}
    with pytest.raises(UserError, match="ended with 0"):  # nothing exported yet
        runs.launch(row(**half), tmp_path / row().name)
    scores = runs.scores(row())
    log = (tmp_path / row().name / "log.txt").read_text()
    assert f"train {STEPS}/{STEPS}" in log
    assert scores["psnr"] > LEAST_PSNR and scores["mask_iou"] > LEAST_IOU and scores["chamfer"] < MOST_CHAMFER, scores
    assert (tmp_path / row().name / "sheet.png").is_file()
    assert runs.scores(row()) == scores  # kept
    kept = json.loads((tmp_path / row().name / "scores.json").read_text())
    assert kept["scores"] == scores
    with pytest.raises(UserError, match="made with other settings"):
        runs.kept(row(seed=1))
