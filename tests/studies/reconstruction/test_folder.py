"""The command itself, with workers in processes of their own, on networks with random weights.

Minutes of whole runs: only with END_TO_END=1 in the environment.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batch_stand_ins import REPOSITORY, TINY, glb_bytes, make_job, save_pictures
from tiny_zero123 import save_tiny_cascade

from studies.reconstruction import command
from studies.reconstruction.batch import run_batch
from studies.reconstruction.folder import main as reconstruct_folder_main
from studies.reconstruction.job import Job, read_result
from studies.reconstruction.plan import planned, settings_of, settled
from studies.reconstruction.processes import Processes
from studies.reconstruction.realfusion15 import main as realfusion15_main
from studies.reconstruction.worker import latest_checkpoint
from threestudio.errors import UserError

SCRIPT = REPOSITORY / "scripts" / "reconstruct_folder.py"
GOOD = ("orange", "teal")
PATIENCE = 300.0  # seconds
pytestmark = pytest.mark.skipif(not os.environ.get("END_TO_END"), reason="minutes long; set END_TO_END=1")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Two good pictures, a broken one, and weights."""
    folder = tmp_path_factory.mktemp("batch")
    save_tiny_cascade(folder / "weights")
    save_pictures(folder / "pictures", orange=(0.9, 0.5, 0.1), teal=(0.1, 0.6, 0.6))
    (folder / "pictures" / "broken.png").write_text("no picture")
    return folder


def settings(workplace):
    weights = [f"system.guidance.{part}.weights={workplace / 'weights' / part}" for part in ("base", "refiner")]
    return [*TINY, *weights]


def arguments(workplace, out):
    return [str(workplace / "pictures"), "--out", str(workplace / out), *settings(workplace)]


def jobs(workplace, out):
    found = planned(workplace / "pictures", [command.CASCADE], settings(workplace), workplace / out)
    return {job.picture: job for job in settled(found)[0]}


@pytest.fixture(scope="module")
def one_worker(workplace) -> dict[str, Job]:
    assert reconstruct_folder_main(arguments(workplace, "one")) == 1
    return jobs(workplace, "one")


def assert_same_meshes(found, wanted):
    for picture in GOOD:
        assert glb_bytes(found[picture]) == glb_bytes(wanted[picture])


def test_a_broken_picture_fails_by_name_and_the_others_are_done(one_worker):
    results = {picture: read_result(job) for picture, job in one_worker.items()}
    assert [results[name].state for name in ("broken", *GOOD)] == ["failed", "done", "done"]
    assert results["broken"].reason.startswith(f"{one_worker['broken'].path}: not a picture that can be read")


def test_a_result_has_its_scores_its_cost_and_its_files(one_worker):
    result = read_result(one_worker["orange"])
    assert set(result.scores) >= {"PSNR", "SSIM", "CLIP"}
    assert result.scores["CLIP"].value is None
    assert result.seconds > 0 and result.memory_mb > 100 and result.faces > 0
    for name in ("glb", "obj", "source", "turntable", "reference_view"):
        assert (one_worker["orange"].folder / result.files[name]).stat().st_size > 0
    assert len(result.files["prompts"]) == 3
    assert result.elevation_deg == 10.0


def test_each_run_keeps_the_command_by_which_it_can_be_repeated_alone(one_worker):
    kept = (one_worker["teal"].folder / "configs" / "cmd.txt").read_text()
    assert kept.startswith("python launch.py --config ")
    assert f"data.image_path={json.dumps(one_worker['teal'].path)}" in kept


def test_the_page_the_numbers_and_the_table_are_written(one_worker):
    out = Path(one_worker["orange"].out)
    assert (out / "metrics.csv").read_text().count("\n") == 4
    assert "2 of 3 pictures done" in (out / "table.md").read_text()
    assert (out / "report.html").read_text().count("<article") == 3


class Deadly(Processes):
    """Kills one worker in the middle of its picture, once."""

    killed = None

    def ended(self, timeout):
        for slot in self.slots if self.killed is None else []:
            if slot.job is not None and latest_checkpoint(slot.job.folder / "ckpts"):
                self.killed = slot.job
                os.kill(slot.worker.process.pid, signal.SIGKILL)
        return super().ended(0.02 if self.killed is None else timeout)


def test_two_workers_of_which_one_is_killed_make_the_same_meshes_as_one(workplace, one_worker, capsys):
    engine, two = Deadly(2, 1, []), jobs(workplace, "two")
    try:
        results = run_batch(list(two.values()), engine)
    finally:
        engine.close()
    assert "was ended by SIGKILL" in capsys.readouterr().out
    assert results[engine.killed].resumed_at_step >= 4
    assert_same_meshes(two, one_worker)


def test_a_batch_that_is_stopped_goes_on_to_the_same_meshes(workplace, one_worker):
    stopped = jobs(workplace, "stopped")
    line = [sys.executable, str(SCRIPT), *arguments(workplace, "stopped")]
    batch = subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE
    while batch.poll() is None and latest_checkpoint(stopped["orange"].folder / "ckpts") is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    batch.send_signal(signal.SIGTERM)
    said = batch.communicate(timeout=PATIENCE)[1]
    assert batch.returncode == 143
    assert said.strip().endswith("stopped; the same command goes on from here")
    assert read_result(stopped["teal"]) is None
    assert reconstruct_folder_main(arguments(workplace, "stopped")) == 1
    assert_same_meshes(stopped, one_worker)


def test_ray_makes_the_same_meshes(workplace, one_worker):
    pytest.importorskip("ray")
    line = [*arguments(workplace, "ray"), "--engine", "ray", "--workers", "2"]
    assert reconstruct_folder_main(line) == 1
    assert_same_meshes(jobs(workplace, "ray"), one_worker)


def test_what_is_done_is_not_made_again_and_other_settings_are_refused(workplace, one_worker, monkeypatch):
    before = one_worker["orange"].folder.joinpath("result.json").stat().st_mtime_ns
    (workplace / "pictures" / "broken.png").rename(workplace / "broken.png")
    monkeypatch.setattr(Processes, "start", lambda *args: pytest.fail("nothing is left to do"))
    try:
        assert reconstruct_folder_main(arguments(workplace, "one")) == 0
        with pytest.raises(UserError, match="seed is 0 there, 7 here; choose another --out"):
            reconstruct_folder_main([*arguments(workplace, "one"), "seed=7"])
    finally:
        (workplace / "broken.png").rename(workplace / "pictures" / "broken.png")
    assert one_worker["orange"].folder.joinpath("result.json").stat().st_mtime_ns == before


def test_the_report_of_what_is_finished_so_far_is_made_without_any_work(workplace, one_worker, monkeypatch):
    main = reconstruct_folder_main
    monkeypatch.setattr(Processes, "start", lambda *args: pytest.fail("no picture is worked on"))
    page = Path(one_worker["orange"].out) / "report.html"
    page.unlink()
    assert main([*arguments(workplace, "one"), "--report-only"]) == 1
    assert page.read_text().count("<article") == 3
    with pytest.raises(UserError, match="nothing is finished there yet"):
        main([*arguments(workplace, "nothing"), "--report-only"])


def test_realfusion15_compares_both_configs_and_says_which_pictures_are_missing(workplace, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "make_engine", lambda arguments: Processes(1, 1, []))
    monkeypatch.setattr(command, "run_batch", lambda jobs, engine: seen.extend(jobs) or dict.fromkeys(jobs, failed()))
    line = [str(workplace / "pictures"), "--out", str(workplace / "table")]
    assert realfusion15_main(line) == 1
    assert [job.method for job in seen[:2]] == ["cascade-zero123", "zero123"]
    said = capsys.readouterr().out
    assert "Cascade-Zero123 (the paper's number)" in said
    assert "Not the paper's set of 15 pictures: 15 are missing, 3 are others." in said
    assert "This is the small model that ships with the project" in said


def failed():
    from studies.reconstruction.job import FAILED, Result

    return Result(FAILED, "not tried")


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--config", "nowhere.yaml"], "nowhere.yaml: no such config file"),
        (["--config", "a/x.yaml", "--config", "b/x.yaml"], "two files of one name"),
        (["data.image_path=x.png"], "command line: data.image_path is decided for each picture"),
        (["sed=3"], "unknown key sed; did you mean seed?"),
        (["--clip", "nowhere"], "nowhere: no CLIP in it"),
    ],
)
def test_a_mistake_in_the_command_ends_in_one_line(workplace, extra, message, capsys):
    main = reconstruct_folder_main
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = command.as_command(main, [str(workplace / "pictures"), "--out", str(workplace / "bad"), *extra])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    said = capsys.readouterr().err.strip()
    assert code == 2
    assert message in said and "\n" not in said


def test_gpus_are_shared_among_the_workers_in_turn(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert command.visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert command.visible_gpus() == ["5", "7"]


def test_a_config_that_is_edited_later_is_not_what_a_batch_goes_by(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(command.CASCADE.read_text())
    pictures = save_pictures(tmp_path / "pictures", cat=(0.9, 0.5, 0.1))
    (job,), _ = settled(planned(pictures, [config], [], tmp_path / "out"))
    before = settings_of(job)
    config.write_text(config.read_text().replace("\nseed: 0", "\nseed: 7"))
    assert job.method == "mine"
    assert settings_of(job) == before
    with pytest.raises(UserError, match="seed is 0 there, 7 here; choose another --out"):
        settled(planned(pictures, [config], [], tmp_path / "out"))


def test_settings_do_not_depend_on_where_the_results_are_nor_on_the_picture(tmp_path):
    one, other = make_job(tmp_path / "a", "cat"), make_job(tmp_path / "b", "dog")
    assert settings_of(one) == settings_of(other)
    assert json.loads(json.dumps(settings_of(one))) == settings_of(one)
