"""The jobs over HTTP; runs are pretended, the rest is real."""

import io
import zipfile

import pytest
from fastapi.testclient import TestClient
from web.studio_stand_ins import opaque_noise, picture, pretended, until

from threestudio.picture.further_pictures import named_pictures
from threestudio.web.application import make_application
from threestudio.web.runs import own_settings


@pytest.fixture
def studio(tmp_path):
    made = pretended(tmp_path, most_waiting=3)
    yield made
    made.close()


@pytest.fixture
def client(studio):
    return TestClient(make_application(studio, page=False), base_url="http://127.0.0.1:7860")


@pytest.fixture
def served(studio, client):
    studio.start()
    return client


def post(client, folder, *settings, content=None, name="My Cat.png", **more):
    files = {"picture": (name, picture(folder) if content is None else content)}
    return client.post("/jobs", files=files, data={"set": list(settings), **more})


def finished(client, identity):
    return until(lambda: (job := client.get(f"/jobs/{identity}").json())["state"] in ("done", "failed") and job)


def test_a_picture_becomes_a_mesh(served, tmp_path):
    answer = post(served, tmp_path, "trainer.max_steps=7")
    assert answer.status_code == 201
    job = finished(served, answer.json()["id"])
    assert job["state"] == "done" and job["progress"]["share"] == 1.0 and job["name"] == "My Cat.png"
    assert "train 7/7, loss 1.5, 0:09 left" in job["log"] and job["settings"] == ["trainer.max_steps=7"]
    for name in ("model.glb", "model.obj", "model.stl", "model.ply"):
        assert name in job["files"]
        assert served.get(f"/jobs/{job['id']}/{name}").status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(served.get(f"/jobs/{job['id']}/model.zip").content))
    assert {"model/model.glb", "model/model.obj", "model/model.stl", "model/model.ply"} <= set(archive.namelist())


def test_a_picture_that_cannot_be_used_is_refused_by_its_own_name_in_one_line(client, studio, tmp_path):
    for content, reason in [
        (b"no picture", "My Cat.png: not a picture that can be read"),
        (opaque_noise(), "My Cat.png: opaque with a busy background"),
        (b"", "My Cat.png: not a picture"),
    ]:
        answer = post(client, tmp_path, content=content)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(reason) and "\n" not in answer.json()["detail"]
    assert list(studio.store.folder.glob("*/")) == []


def test_settings_that_are_wrong_or_not_for_others_to_set_are_refused(client, tmp_path):
    decided = "names files or parts of the program, which the server decides itself"
    for setting, reason in [
        ("system.guidance.base.weights=/etc/passwd", decided),
        ("data.image_path=/etc/passwd", decided),
        ("data.pictures=/etc/passwd", decided),
        ("data.pictures={/etc/passwd: {azimuth: 0}}", decided),
        ("system.guidance.cache_dir=/tmp", decided),
        ("exp_root_dir=/tmp", "not for a server's users"),
        ("resume=/tmp/x.ckpt", "not for a server's users"),
        ("data.object_ratio=${oc.env:HOME}", decided),
        ("system.exporter_type=mine", decided),
        ("nonsense", "expected key=value"),
        ("system.guidance.guidance_scal=2", "unknown key system.guidance.guidance_scal"),
        ("data.object_ratio=7", "data.object_ratio"),
    ]:
        answer = post(client, tmp_path, setting)
        assert answer.status_code == 422, setting
        assert reason in answer.json()["detail"], answer.json()
    assert (
        "not offered here; did you mean cascade-zero123"
        in post(client, tmp_path, config="cascade-zero124").json()["detail"]
    )


def further(folder, *angles, content=None):
    """The parts of a request with as many further pictures as angles."""
    parts = [("picture", ("cat.png", picture(folder)))]
    parts += [("further", ("back.png", picture(folder) if content is None else content))] * max(len(angles), 1)
    return {"files": parts, "data": {"angles": list(angles)}}


def test_further_pictures_go_to_the_run_with_their_cameras(client, studio, tmp_path):
    answer = client.post("/jobs", **further(tmp_path, "180,0", "-90,10"))
    job = studio.store.get(answer.json()["id"])
    given = next(text for text in own_settings(studio.store, job) if text.startswith("data.pictures="))
    files = named_pictures(given.partition("=")[2], tmp_path)
    assert [file.name for file, *_ in files] == ["further-1.png", "further-2.png"]
    assert [tuple(angles) for _, *angles in files] == [(180.0, 0.0), (-90.0, 10.0)]


def test_further_pictures_that_do_not_fit_are_refused_and_leave_nothing(client, studio, tmp_path):
    for request, reason in [
        (further(tmp_path), "1 further pictures and 0 angles; each takes one, expected azimuth,elevation"),
        (further(tmp_path, "back"), "angles=back: expected azimuth,elevation in degrees, as in 180,0"),
        (further(tmp_path, "180,91"), "elevation 91.0; expected within 720 and 90 degrees"),
        (further(tmp_path, "nan,0"), "expected within 720 and 90 degrees"),
        (further(tmp_path, *["0,0"] * 9), "9 further pictures; at most 8 are taken"),
        (further(tmp_path, "180,0", content=b"no picture"), "back.png: not a picture that can be read"),
    ]:
        answer = client.post("/jobs", **request)
        assert answer.status_code == 422 and reason in answer.json()["detail"], answer.json()
    assert list(studio.store.folder.glob("*/")) == []


def test_a_full_queue_takes_no_more(client, tmp_path):
    assert [post(client, tmp_path).status_code for _ in range(4)] == [201, 201, 201, 429]


def test_large_requests_and_pictures_of_too_many_pixels_are_refused(client, tmp_path, monkeypatch):
    assert client.post("/jobs", content=b"x", headers={"Content-Length": str(40 << 20)}).status_code == 413
    assert client.post("/jobs", content=iter([b"x"])).status_code == 411
    monkeypatch.setattr("threestudio.web.limits.MOST_PIXELS", 1000)
    assert "are not taken" in post(client, tmp_path).json()["detail"]


def test_names_are_made_harmless(client, studio, tmp_path):
    identity = post(client, tmp_path, name="../../etc/\u202epa\x00ss<b>wd.png").json()["id"]
    job = client.get(f"/jobs/{identity}").json()
    assert not set("/\\<>\x00\u202e") & set(job["name"] + identity)
    assert (studio.store.folder / identity).parent == studio.store.folder
    assert client.get("/jobs/..%2f..%2fetc").status_code == 404
    assert client.get(f"/jobs/{identity}/..%2f..%2fjob.json").status_code == 404


def test_waiting_jobs_know_how_many_come_before_them_and_delete_stops(client, tmp_path):
    first, second = (post(client, tmp_path).json()["id"] for _ in range(2))
    assert client.get(f"/jobs/{second}").json()["ahead"] == 1
    assert client.delete(f"/jobs/{first}").json()["state"] == "stopped"
    assert client.get(f"/jobs/{second}").json()["ahead"] == 0
    assert [job["id"] for job in client.get("/jobs").json()] == [second, first]


def test_a_running_job_is_stopped_and_goes_on_where_it_was(served, tmp_path):
    identity = post(served, tmp_path, "trainer.max_steps=200").json()["id"]
    until(lambda: served.get(f"/jobs/{identity}").json()["progress"]["step"] >= 3)
    assert served.delete(f"/jobs/{identity}").json()["state"] == "stopped"
    until(lambda: served.post(f"/jobs/{identity}/resume").status_code == 200)
    job = finished(served, identity)
    starts = [line for line in served.get(f"/jobs/{identity}/log").text.split("\n") if line.startswith("from step")]
    assert job["state"] == "done" and len(starts) == 2 and int(starts[1].split()[-1]) >= 3


def test_a_run_that_fails_says_why_and_the_next_one_is_worked_on(served, tmp_path):
    unlucky, lucky = (post(served, tmp_path, f"seed={seed}").json()["id"] for seed in (13, 14))
    assert finished(served, unlucky)["reason"] == "picture.png: unlucky"
    assert finished(served, lucky)["state"] == "done"


def test_the_mesh_is_exported_again_without_another_run(served, tmp_path):
    identity = post(served, tmp_path).json()["id"]
    assert served.post(f"/jobs/{identity}/export", data={"set": "seed=3"}).status_code in (409, 422)
    finished(served, identity)
    answer = served.post(f"/jobs/{identity}/export", data={"set": "system.exporter.max_faces=9"})
    assert answer.status_code == 200 and answer.json()["state"] in ("waiting", "running")
    assert finished(served, identity)["state"] == "done"
    said = served.get(f"/jobs/{identity}/model.stl").text
    assert "--export" in said and "system.exporter.max_faces=9" in said
    assert served.get(f"/jobs/{identity}/log").text.count("train 5/5") == 1


def test_what_is_not_there_is_a_404_that_says_what_is(client, tmp_path):
    identity = post(client, tmp_path).json()["id"]
    assert client.get("/jobs/none").json()["detail"] == "no job none"
    assert "not made (so far)" in client.get(f"/jobs/{identity}/model.glb").json()["detail"]
    assert client.post(f"/jobs/{identity}/resume").status_code == 409


def test_the_interface_documents_itself_without_anything_from_outside(client):
    described = client.get("/openapi.json").json()
    assert {"/jobs", "/jobs/{identity}", "/jobs/{identity}/{file}"} <= set(described["paths"])
    assert set(described["paths"]["/jobs/{identity}"]) == {"get", "delete"}
    page = client.get("/docs").text
    assert "://" not in page.replace("http://www.w3.org", "").replace("http://127.0.0.1", "")
    assert "/jobs/{identity}/export" in page


def test_a_request_by_another_host_or_from_another_page_is_refused(client, tmp_path):
    assert client.get("/jobs", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/jobs", headers={"Host": "localhost:7860"}).status_code == 200
    files = {"picture": ("a.png", picture(tmp_path))}
    assert client.post("/jobs", files=files, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post("/jobs", files=files, headers={"Origin": "http://127.0.0.1:7860"}).status_code == 201
