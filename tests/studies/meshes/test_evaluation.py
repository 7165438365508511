import argparse
import json
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from cascade_zero123.training.psnr import LARGEST_DB, psnr
from PIL import Image

from studies.meshes import controls, scores, summary
from studies.meshes import evaluation as command
from studies.meshes import true_objects as objects
from studies.meshes.ablate_export import ablate
from threestudio.errors import UserError
from threestudio.mesh.files import read_glb, write_glb
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.renderer import render_mesh
from threestudio.utils.config import load_config

REPOSITORY = Path(__file__).resolve().parents[3]

CONFIG = REPOSITORY / "configs" / "cascade-zero123.yaml"
CELLS = 128


@pytest.fixture(scope="module")
def ball() -> scores.Truth:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    mesh.visual.vertex_colors = np.where(mesh.vertices[:, 2:] > 0, (220, 60, 40, 255), (40, 80, 200, 255))
    return scores.Truth(mesh)


@pytest.fixture
def evaluation(tmp_path, ball, monkeypatch) -> command.Evaluation:
    """Of one ball as every object; with coarse sheets and few samples, for speed."""
    for name, maker in list(command.CONTROLS.items()):
        monkeypatch.setitem(command.CONTROLS, name, partial(maker, cells=CELLS // 4))
    monkeypatch.setattr(scores, "SURFACE_SAMPLES", 500)
    return command.Evaluation(CONFIG, tmp_path, [], lambda index: (f"ball-{index}", ball))


def control(name: str, truth: scores.Truth, folder: Path) -> trimesh.Trimesh:
    mesh = command.CONTROLS[name](truth.picture, scores.source_camera()[0], scores.FOVY_DEG, cells=CELLS)
    return read_glb(write_glb(folder / f"{name}.glb", mesh)[0])


def test_the_truth_itself_scores_perfectly_up_to_the_sampling_of_the_surface(ball):
    found = scores.score(ball.mesh, ball)
    assert found["psnr"] == LARGEST_DB
    assert found["mask_iou"] == 1.0
    assert 0 < found["chamfer"] < 0.01


def test_chamfer_counts_in_units_of_the_largest_side(ball):
    shifted, large, large_shifted = (ball.mesh.copy() for _ in range(3))
    shifted.apply_scale(1.2)
    large.apply_scale(3.0)
    large_shifted.apply_scale(3.6)
    found = scores.chamfer(shifted, ball.mesh)
    assert found == pytest.approx(0.1, rel=0.05)
    assert scores.chamfer(large_shifted, large) == pytest.approx(found, rel=0.01)


def test_a_surface_inside_the_object_is_no_part_of_its_shape(ball):
    core = trimesh.creation.icosphere(subdivisions=3, radius=0.2)
    filled = trimesh.util.concatenate([trimesh.Trimesh(ball.mesh.vertices, ball.mesh.faces), core])
    assert np.linalg.norm(scores.outside_samples(filled, seed=0), axis=1).min() > 0.45


def test_both_controls_look_like_the_picture_from_its_camera(ball, tmp_path):
    size = 128
    picture = render_mesh(ball.mesh, scores.source_camera(), scores.FOVY_DEG, size, size)
    for name in command.CONTROLS:
        mesh = control(name, ball, tmp_path)
        view = render_mesh(mesh, scores.source_camera(), scores.FOVY_DEG, size, size)
        # A balloon's rim bulges towards the camera, and so looks a little larger than its outline.
        assert scores.mask_iou(view, picture)[0] > {"card": 0.99, "inflated": 0.975}[name]
        assert psnr(scores.as_tensors(view), scores.as_tensors(picture))[0] > 25


def test_a_disc_is_inflated_to_a_ball():
    size = 64
    centre = np.arange(size) + 0.5 - size / 2
    inside = centre[:, None] ** 2 + centre**2 < 24**2
    assert controls.inflation(inside)[size // 2, size // 2] == pytest.approx(24, rel=0.03)


def test_on_a_ball_the_inflated_silhouette_is_nearly_right_and_the_card_is_not(ball, tmp_path):
    inflated = scores.score(control("inflated", ball, tmp_path), ball)
    card = scores.score(control("card", ball, tmp_path), ball)
    assert inflated["mask_iou"] > 0.97
    assert inflated["chamfer"] < 0.02
    assert card["mask_iou"] < 0.75
    assert card["chamfer"] > 0.05


def test_a_mirrored_back_shows_the_colours_of_the_front(ball, tmp_path):
    views = scores.novel_views(control("inflated", ball, tmp_path))
    front, back = views[0][40, 64, :3], views[4][40, 64, :3]
    assert np.abs(front.astype(int) - back).max() < 30


def test_what_is_scored_already_is_not_computed_again(evaluation):
    assert evaluation.run(1, ["card"]) == []
    path = evaluation.out / "card" / "ball-0" / "scores.json"
    kept = json.loads(path.read_text())
    kept["scores"]["chamfer"] = 123.0
    path.write_text(json.dumps(kept))
    assert evaluation.run(1, ["card"]) == []
    assert "123.0" in evaluation.save_table()
    assert Image.open(evaluation.out / "sheets" / "ball-0.png").width == summary.LABEL + 5 * summary.CELL


def test_scores_of_other_settings_are_refused(evaluation):
    path = evaluation.out / "cascade" / "ball-0" / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"settings": {"config": "other.yaml", "overrides": []}, "scores": {}}))
    assert "made with other settings" in evaluation.run(1, ["cascade"])[0]


def test_one_bad_object_does_not_stop_the_others(evaluation, ball):
    def bad_first(index: int):
        if index == 0:
            raise ValueError("no such object")
        return f"ball-{index}", ball

    failures = command.Evaluation(CONFIG, evaluation.out, [], bad_first).run(2, ["card"])
    assert failures == ["object 0: ValueError: no such object"]
    assert (evaluation.out / "card" / "ball-1" / "scores.json").exists()


@pytest.mark.parametrize("method", ["cascade", "zero123", "frozen", "reference"])
def test_a_run_gets_the_picture_uncut_and_its_own_folder(method, evaluation, ball, monkeypatch):
    seen = []

    def run(arguments, **kwargs):
        cfg = load_config(arguments[3], cli_args=arguments[5:])
        seen.append(cfg)
        export = Path(cfg.trial_dir) / "save" / "it900-export" / "model"
        write_glb(export, controls.card(ball.picture, scores.source_camera()[0], scores.FOVY_DEG, cells=32))
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert evaluation.run(1, [method]) == []
    (cfg,) = seen
    assert cfg.data.recenter is False
    assert cfg.data.image_path == str(evaluation.out / "pictures" / "ball-0.png")
    assert Path(cfg.trial_dir) == evaluation.out / method / "ball-0" / "run"
    assert (cfg.system.loss.lambda_sds == 0) == (method == "reference")
    assert set(cfg.system.loss) == set(load_config(str(CONFIG)).system.loss)
    assert (cfg.system.warm_start_views == 0) == (method == "reference")
    if method == "frozen":
        assert cfg.system.guidance.refiner.weights == cfg.system.guidance.cascade[0].weights


def test_a_failing_run_names_its_log(evaluation, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda arguments, **kwargs: subprocess.CompletedProcess(arguments, 2))
    (line,) = evaluation.run(1, ["cascade"])
    assert "launch.py ended with 2, see " in line and "log.txt" in line


def test_the_interval_of_the_mean_holds_it_and_shrinks_with_the_number_of_objects():
    values = np.random.default_rng(0).normal(5, 1, 400)
    low, high = summary.bootstrap_interval(values)
    few_low, few_high = summary.bootstrap_interval(values[:20])
    assert low < values.mean() < high
    assert high - low < 0.5 * (few_high - few_low)


def test_the_table_compares_the_first_method_object_by_object():
    def of(psnr):
        return {"psnr": psnr, "mask_iou": 0.5, "chamfer": 0.1}

    text = summary.table({"cascade": {"a": of(15.0), "b": of(17.0)}, "card": {"b": of(12.0)}, "inflated": {}})
    assert "| cascade | 2 | 16.00 [15.00, 17.00] |" in text
    assert "| card | 1 | 5.00 [5.00, 5.00] |" in text
    assert "inflated" not in text


def test_a_folder_of_meshes_is_scored_as_generated_objects_are(evaluation, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "meshes"
    for number, colour in enumerate([(200, 0, 0, 255), (0, 200, 0, 255), (0, 0, 200, 255)]):
        red, grey = (
            trimesh.creation.box((2.0, 2.0, 2.0)),
            trimesh.creation.icosphere(2, 1.0).apply_translation((0, 2, 0)),
        )
        red.visual.face_colors = colour
        (folder / "sub").mkdir(parents=True, exist_ok=True)
        trimesh.Scene([red, grey]).export(folder / "sub" / f"{number}.glb")
    arguments = ["--config", str(CONFIG), "--out", str(tmp_path / "out"), "--method", "inflated"]
    assert command.main([*arguments, "--meshes", str(folder), "--objects", "2"]) == 0
    assert "| inflated | 2 |" in capsys.readouterr().out
    assert command.main([*arguments, "--meshes", str(folder), "--objects", "9"]) == 0
    assert "| inflated | 3 |" in capsys.readouterr().out


def test_a_mesh_is_turned_upright_centred_and_scaled_and_its_parts_are_one_shape(tmp_path):
    box, ball = trimesh.creation.box((2, 4, 1)), trimesh.creation.icosphere(1, 0.5).apply_translation((0, 0, 2))
    trimesh.Scene([box, ball]).export(tmp_path / "thing.glb")
    name, truth = objects.MeshObjects(tmp_path)(0)
    assert name == "thing"
    np.testing.assert_allclose(truth.shape.bounds.mean(axis=0), 0, atol=1e-6)
    # glTF's x, y, z are the world's y, z, x.
    np.testing.assert_allclose(truth.shape.extents, np.array([3.0, 2.0, 4.0]) / 4, atol=1e-6)
    assert len(truth.shape.faces) == len(box.faces) + len(ball.faces)


def test_a_missing_folder_of_meshes_is_one_line(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        given = ["--config", str(CONFIG), "--out", str(tmp_path), "--meshes", str(tmp_path / "nowhere")]
        command.evaluate(*command.parse_arguments(given))


def test_overrides_are_told_from_methods(tmp_path):
    arguments, overrides = command.parse_arguments(
        ["--config", "a.yaml", "--out", str(tmp_path), "--method", "card", "cascade", "trainer.max_steps=3"]
    )
    assert arguments.method == ["card", "cascade"]
    assert overrides == ["trainer.max_steps=3"]


def test_a_missing_config_is_one_line():
    with pytest.raises(UserError, match="nothing.yaml: no such config file"):
        command.evaluate(*command.parse_arguments(["--config", "nothing.yaml", "--out", "unused"]))


def test_a_folder_without_finished_runs_has_nothing_to_export_again(tmp_path):
    arguments = argparse.Namespace(results=tmp_path, out=tmp_path / "out", row=[])
    with pytest.raises(UserError, match=r"no finished runs \(<object>/run or <picture>\) in it"):
        ablate(arguments)


def test_a_mesh_that_is_the_pictures_own_has_its_outline_and_colours_and_a_shifted_one_less():
    ball = trimesh.creation.icosphere(4, 0.4)
    ball.visual.vertex_colors = (200, 60, 40, 255)
    view = ReferenceView(scores.Truth(ball).picture / 255.0, scores.source_camera()[0].numpy(), 20.0)
    shifted = scores.picture_score(ball.copy().apply_translation((0, 0.05, 0)), view)
    own = scores.picture_score(ball, view)
    assert own["outline_iou"] > 0.995
    assert own["picture_psnr"] > 35.0
    assert shifted["outline_iou"] < 0.9
    assert shifted["picture_psnr"] < 25.0


def test_a_table_has_only_the_scores_that_were_taken():
    text = summary.table(
        {"a": {"cat": {"outline_iou": 0.99, "picture_psnr": 30.0}}, "b": {"cat": {"outline_iou": 0.97}}}
    )
    assert "outline IoU" in text
    assert "Chamfer" not in text
    assert "0.0200 [0.0200, 0.0200]" in text
