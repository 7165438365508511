import json
import os

import pytest
from batch_stand_ins import PlayedEngine, done, make_job, save_pictures
from cascade_zero123.zero123.weights.loading import save_zero123
from tiny_zero123 import save_tiny_cascade, tiny_model

from studies.reconstruction import batch, ray_cluster
from studies.reconstruction.command import CASCADE
from studies.reconstruction.engine import WorkerDied
from studies.reconstruction.job import FAILED, RESULT, Result, read_result
from studies.reconstruction.measures import found_files
from studies.reconstruction.plan import planned, settled
from studies.reconstruction.worker import latest_checkpoint
from threestudio.errors import UserError


@pytest.fixture
def jobs(tmp_path):
    return [make_job(tmp_path, name) for name in ("ape", "bee", "cat")]


def all_good(job, attempt):
    return done(PSNR=20.0)


def bee_fails(job, attempt):
    return Result(FAILED, "bee.png: truncated") if job.picture == "bee" else done()


def test_one_bad_picture_does_not_stop_the_others(jobs, capsys):
    results = batch.run_batch(jobs, PlayedEngine(bee_fails))
    assert [results[job].state for job in jobs] == ["done", "failed", "done"]
    assert "bee (cascade): failed: bee.png: truncated" in capsys.readouterr().out


def test_a_batch_that_is_run_again_does_only_what_is_not_done(jobs):
    batch.run_batch(jobs, PlayedEngine(bee_fails))
    again = PlayedEngine(all_good)
    results = batch.run_batch(jobs, again)
    assert again.started == ["bee"]
    assert all(results[job].done for job in jobs)


def test_a_result_is_read_back_as_it_was_written(jobs):
    results = batch.run_batch(jobs, PlayedEngine(all_good))
    assert {job: read_result(job) for job in jobs} == results


def test_a_picture_whose_worker_died_is_given_to_another(jobs, capsys):
    def bee_kills_once(job, attempt):
        return WorkerDied("was ended by SIGKILL") if job.picture == "bee" and attempt == 1 else done()

    engine = PlayedEngine(bee_kills_once)
    assert all(result.done for result in batch.run_batch(jobs, engine).values())
    assert engine.started == ["ape", "bee", "bee", "cat"]
    assert "bee (cascade): its worker was ended by SIGKILL; another goes on with it" in capsys.readouterr().out


def test_a_picture_that_kills_every_worker_fails_and_the_others_go_on(jobs):
    def bee_kills(job, attempt):
        return WorkerDied("was ended by SIGKILL") if job.picture == "bee" else done()

    results = batch.run_batch(jobs, PlayedEngine(bee_kills))
    assert [results[job].done for job in jobs] == [True, False, True]
    assert results[jobs[1]].reason.startswith("its worker was ended by SIGKILL, 3 times; see ")
    assert read_result(jobs[1]) == results[jobs[1]]


def test_another_picture_under_the_same_name_is_made_anew(jobs, tmp_path):
    batch.run_batch(jobs, PlayedEngine(all_good))
    remains = jobs[0].folder / "ckpts" / "last.ckpt"
    remains.parent.mkdir()
    remains.touch()
    with open(jobs[0].path, "ab") as file:
        file.write(b"more")
    again = PlayedEngine(all_good)
    batch.run_batch(jobs, again)
    assert again.started == ["ape"]
    assert not remains.exists()


def test_without_its_result_a_picture_is_not_done(jobs):
    batch.run_batch(jobs, PlayedEngine(all_good))
    (jobs[2].folder / RESULT).unlink()
    again = PlayedEngine(all_good)
    batch.run_batch(jobs, again)
    assert again.started == ["cat"]


def test_results_of_other_settings_are_refused_by_the_first_key_that_differs(tmp_path):
    batch.refuse_other_settings("cascade", tmp_path, {"seed": 0, "system": {"loss": {"a": 1.0}, "empty": {}}})
    batch.refuse_other_settings("cascade", tmp_path, {"seed": 0, "system": {"loss": {"a": 1.0}, "empty": {}}})
    with pytest.raises(UserError, match="system.loss.a is 1.0 there, 2.0 here; choose another --out"):
        batch.refuse_other_settings("cascade", tmp_path, {"seed": 0, "system": {"loss": {"a": 2.0}, "empty": {}}})
    with pytest.raises(UserError, match="system.empty is {} there, unset here"):
        batch.refuse_other_settings("cascade", tmp_path, {"seed": 0, "system": {"loss": {"a": 1.0}}})


def test_a_batch_does_not_go_on_with_other_weights_under_the_same_name(tmp_path):
    save_tiny_cascade(tmp_path / "models")
    weights = [f"system.guidance.{name}.weights={tmp_path}/models/{name}" for name in ("base", "refiner")]
    pictures = save_pictures(tmp_path / "pictures", cat=(0.9, 0.5, 0.1))
    for _ in range(2):
        settled(planned(pictures, [CASCADE], weights, tmp_path / "out"))
    save_zero123(tiny_model(seed=7), tmp_path / "models/refiner")
    with pytest.raises(UserError, match="weights.refiner is .* choose another --out"):
        settled(planned(pictures, [CASCADE], weights, tmp_path / "out"))


def test_two_batches_do_not_write_over_each_other(tmp_path):
    refused = pytest.raises(UserError, match="another batch is at work there")
    with batch.only_batch_in(tmp_path), refused, batch.only_batch_in(tmp_path):
        pass
    with batch.only_batch_in(tmp_path):
        pass


def test_what_a_running_picture_said_last_is_shown(jobs):
    assert batch.at_work(jobs[:1]) == "ape (cascade): starting"
    jobs[0].folder.mkdir(parents=True)
    (jobs[0].folder / "log.txt").write_text("Loading\ntrain 3/6, 0:02 left\n\n")
    assert batch.at_work(jobs[:1]) == "ape (cascade): train 3/6"


def test_a_result_is_json_that_others_can_read(jobs):
    batch.run_batch(jobs[:1], PlayedEngine(all_good))
    kept = json.loads((jobs[0].folder / RESULT).read_text())
    assert kept["state"] == "done"
    assert kept["scores"]["PSNR"]["value"] == 20.0


def test_a_run_that_was_killed_in_its_surface_stage_goes_on_from_its_own_checkpoint(tmp_path):
    for age, name in enumerate(["last.ckpt", "epoch=0-step=4.ckpt", "surface-it4.ckpt", ".last.7.part.ckpt"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    assert latest_checkpoint(tmp_path).name == "epoch=0-step=4.ckpt"


def test_a_run_without_a_glb_has_nothing_to_measure(tmp_path):
    with pytest.raises(UserError, match="the run exported no GLB; set system.exporter.fmt to glb\\+obj"):
        found_files(tmp_path)


def test_a_cluster_that_cannot_be_reached_is_named_in_one_line():
    class Unreachable:
        def init(self, **arguments):
            raise ConnectionError("nobody\nanswers")

    with pytest.raises(UserError, match="^--address 10.0.0.1:6379: nobody answers$"):
        ray_cluster.connect(Unreachable(), 1, 1, "10.0.0.1:6379")
