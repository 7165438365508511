"""Nothing is lost, whatever ends the server."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from web.studio_stand_ins import picture, pretended, until

from threestudio.errors import UserError
from threestudio.web.jobs import JobStore, State, read_job, slug

SERVER = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from web.studio_stand_ins import pretended
studio = pretended(Path(sys.argv[1])).start()
time.sleep(600)
"""


def submit(studio, folder, *settings):
    return studio.store.add(
        "cat.png", ".png", lambda path: path.write_bytes(picture(folder)), "cascade-zero123", settings
    )


def states(studio):
    return {job.id: job.state for job in studio.store.newest_first()}


def killed_server(folder, jobs):
    """A server in a process of its own, ended by SIGKILL in the middle of its first job."""
    tests = Path(__file__).parents[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), str(tests), str(tests.parent)])
    log = folder / "outputs" / "jobs" / jobs[0].id / "log.txt"
    until(lambda: log.is_file() and "train 3/" in log.read_text())
    server.kill()
    server.wait()


def test_a_killed_server_s_jobs_are_taken_up_by_the_next_and_its_orphan_is_ended(tmp_path):
    studio = pretended(tmp_path)
    jobs = [submit(studio, tmp_path, "trainer.max_steps=500"), *(submit(studio, tmp_path) for _ in range(2))]
    studio.lock.close()
    killed_server(tmp_path, jobs)
    orphan = int((studio.store.place(jobs[0]) / ".process").read_text())
    again = pretended(tmp_path)
    assert states(again)[jobs[0].id] == State.RUNNING
    again.start()
    until(lambda: set(states(again).values()) == {State.DONE})
    with pytest.raises(ProcessLookupError):
        os.kill(orphan, 0)
    starts = [line for line in again.store.log(jobs[0]).read_text().split("\n") if line.startswith("from step")]
    assert len(starts) == 2 and int(starts[1].split()[-1]) >= 3
    ended = sorted(jobs, key=lambda job: (again.store.place(job) / "save" / "it5-export").exists())
    assert ended[0].id == jobs[0].id
    again.close()


def test_a_server_that_is_closed_leaves_its_job_to_the_next(tmp_path):
    studio = pretended(tmp_path)
    job = submit(studio, tmp_path, "trainer.max_steps=100000")
    studio.start()
    until(lambda: studio.progress(studio.store.get(job.id)).step > 2)
    studio.close()
    assert states(pretended(tmp_path)) == {job.id: State.RUNNING}


def test_one_job_at_a_time_in_the_order_of_their_coming(tmp_path):
    studio = pretended(tmp_path)
    jobs = [submit(studio, tmp_path) for _ in range(5)]
    running = []
    change = studio.store.change

    def noted(identity, **changes):
        running.append((identity, changes.get("state")))
        return change(identity, **changes)

    studio.store.change = noted
    studio.start()
    until(lambda: set(states(studio).values()) == {State.DONE})
    expected = [(job.id, state) for job in jobs for state in (State.RUNNING, State.DONE)]
    assert [entry for entry in running if entry[1] is not None] == expected
    studio.close()


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    studio = pretended(tmp_path)
    with pytest.raises(UserError, match="another server is at work there; choose another --outputs"):
        pretended(tmp_path)
    studio.close()


def test_a_killed_run_is_named_with_what_ended_it(tmp_path):
    studio = pretended(tmp_path).start()
    job = studio.queue.added(submit(studio, tmp_path, "trainer.max_steps=100000"))
    process = until(lambda: studio.queue.process)
    os.kill(process.pid, signal.SIGKILL)
    failed = until(lambda: (now := studio.store.get(job.id)).state == State.FAILED and now)
    assert failed.reason == "ended by SIGKILL; the system does so when memory runs out"
    studio.close()


def test_what_is_no_job_is_passed_over(tmp_path):
    for name, text in [("a", "{}"), ("b", "no json"), ("c", json.dumps({"id": "c", "state": "mad"}))]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").write_text(text)
    assert JobStore(tmp_path).newest_first() == []


def test_a_job_is_read_as_it_was_written(tmp_path):
    store = JobStore(tmp_path)
    job = store.add("Müller's cat.PNG", ".png", lambda path: path.write_bytes(b""), "zero123", ["seed=1"], 520)
    assert job.id.startswith("m-ller-s-cat-")
    assert read_job(store.place(job) / "job.json") == job


def test_slugs_are_plain():
    assert slug("../..//a b.png") == "a-b" and slug("日本.png") == "picture" and len(slug("x" * 500)) == 40
