"""The page in a real Chromium, its runs pretended but for the mesh: `make test-page`."""

import io
import json
import shutil
import socket
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import browser
import numpy as np
import pytest
from batch_stand_ins import save_pictures, square
from web.studio_stand_ins import opaque_noise, until

from threestudio.mesh.files import write_glb

pytestmark = pytest.mark.page
TESTS = Path(__file__).parents[1]
SERVER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import uvicorn
from web.studio_stand_ins import pretended
from threestudio.web.application import make_application
studio = pretended(Path(sys.argv[1])).start()
try:
    uvicorn.run(make_application(studio), port=int(sys.argv[2]), log_level="warning", timeout_graceful_shutdown=1)
finally:
    studio.close()
"""
PIXELS = """
const canvas = document.querySelector("canvas.drawn");
if (!canvas) return null;
const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
return [...all.filter((value, index) => index % 4 < 3 && index % 64 < 4)];
"""
BRUSHABLE = "const canvas = document.querySelector('#editor canvas'); return !!canvas && canvas.clientHeight > 100"
IN_ADDRESS = "return new URLSearchParams(location.search).get('job')"
WIDER = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


class Server:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.address = folder, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        paths = [str(TESTS), str(TESTS.parent)]
        self.process = subprocess.Popen([sys.executable, "-c", SERVER, str(self.folder), str(self.port), *paths])
        until(self.answers, patience=browser.PATIENCE)

    def answers(self) -> bool:
        try:
            return self.get("/jobs") is not None
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return answer.read()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    assert browser.installed(), "chromium and chromedriver are needed"
    made = Server(tmp_path_factory.mktemp("page"))
    write_glb(made.folder / "square", square())
    yield made
    made.kill()


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    opened = browser.Browser(tmp_path_factory.mktemp("profile"))
    opened.resize(1280, 1100)
    opened.open(server.address)
    opened.until(lambda: opened.run("return !!document.querySelector('#drop input[type=file]')"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def job(server, page):
    """A picture was dropped and its mesh was waited for."""
    folder = server.folder / "pictures"
    page.drop("#drop input[type=file]", save_pictures(folder, cat=(0.9, 0.5, 0.1)) / "cat.png")
    page.until(lambda: page.run("return !!document.querySelector('#preview svg image')"))
    page.until(lambda: page.run("return !document.querySelector('#start').disabled"))
    page.click("#start")
    identity = page.until(lambda: page.run(IN_ADDRESS))
    page.until(lambda: page.run("return !!document.querySelector('canvas[data-mesh]')"))
    return identity


@pytest.fixture(scope="module")
def drawn(server, page, job):
    """The pretended run's mesh is a real one, and the page is opened at it."""
    place = next((server.folder / "outputs" / "jobs" / job / "save").glob("it*-export"))
    shutil.copy(server.folder / "square.glb", place / "model.glb")
    page.open(f"{server.address}/?job={job}")
    page.until(lambda: page.run(PIXELS))
    return page


def test_the_cut_out_is_shown_on_its_ground_with_its_elevation(server, page, job):
    assert page.run("return document.querySelectorAll('#preview .ground path').length") == 16
    assert "It looks like" in page.run("return document.querySelector('#found').innerText")
    assert "minutes" in page.run("return document.querySelector('#cost').innerText")


def test_the_mesh_is_drawn_turned_and_shown_as_clay(drawn):
    before = np.array(drawn.run(PIXELS))
    assert before.max() > 100
    drawn.drag("canvas.drawn", right=120, down=30)
    after = np.array(drawn.until(lambda: drawn.run(PIXELS) != before.tolist() and drawn.run(PIXELS)))
    drawn.click(".clay")
    clay = np.array(drawn.until(lambda: drawn.run(PIXELS) != after.tolist() and drawn.run(PIXELS))).reshape(-1, 3)
    assert np.ptp(clay[clay.max(axis=1) > 100], axis=1).max() < 40


def test_everything_can_be_downloaded(server, drawn, job):
    links = drawn.run("return [...document.querySelectorAll('.downloads a')].map((link) => link.getAttribute('href'))")
    assert [link.rpartition(".")[2] for link in links] == ["glb", "obj", "stl", "ply", "zip"]
    for link in links:
        assert server.get(link)
    assert "model/model.glb" in zipfile.ZipFile(io.BytesIO(server.get(links[-1]))).namelist()


def test_a_picture_that_cannot_be_cut_out_says_why_and_can_be_masked_by_hand(server, page, job):
    (server.folder / "busy.png").write_bytes(opaque_noise(400, 400))
    page.open(f"{server.address}/?job={job}")
    page.until(lambda: page.run("return !!document.querySelector('#drop input[type=file]')"))
    page.drop("#drop input[type=file]", server.folder / "busy.png")
    said = page.until(lambda: page.run("return document.querySelector('#notes li.bad')?.innerText"))
    assert said.startswith("busy.png: ") and said.endswith(". Brush over the object below") and ";" not in said
    assert page.run("return document.querySelector('#start').disabled")
    page.until(lambda: page.run(BRUSHABLE))
    for down in (-20, 0, 20):
        page.drag("#editor canvas", right=60, down=down)
    page.click("#redraw")
    page.until(lambda: page.run("return !document.querySelector('#start').disabled"))
    assert "redrawn by hand" in page.run("return document.querySelector('#notes').innerText")


def test_further_pictures_are_listed_with_their_sides_and_go_to_the_run(server, page, job):
    orange = (0.9, 0.5, 0.1)
    folder = save_pictures(server.folder / "sides", cat=orange, behind=orange, cat_left=orange)
    page.open(f"{server.address}/?job={job}")
    page.until(lambda: page.run("return !!document.querySelector('#drop input[type=file]')"))
    page.drop("#drop input[type=file]", folder / "cat.png")
    page.until(lambda: page.run("return !document.querySelector('#start').disabled"))
    page.click("#further button")
    for name in ("behind", "cat_left"):
        page.drop("#drop-further input[type=file]", folder / f"{name}.png")
        page.until(lambda name=name: name in (page.run("return document.querySelector('#cameras')?.innerText") or ""))
    page.click("#start")
    other = page.until(lambda: (now := page.run(IN_ADDRESS)) != job and now)
    views = json.loads((server.folder / "outputs" / "jobs" / other / "cameras.json").read_text())["views"]
    assert [view["azimuth_deg"] for view in views] == [180.0, 90.0]


def test_jobs_stay_in_the_list_when_the_server_is_killed_and_started_again(server, page, job):
    server.kill()
    server.start()
    page.open(server.address)
    listed = page.until(lambda: page.run("return [...document.querySelectorAll('.jobs a')].map((one) => one.href)"))
    assert any(job in link for link in listed)


def test_the_page_is_no_wider_than_a_phone_in_either_scheme(drawn):
    for width, scheme in ((390, "light"), (390, "dark"), (1280, "dark"), (1280, "light")):
        drawn.resize(width, 900)
        drawn.prefer(scheme)
        assert not drawn.run(WIDER), (width, scheme)


def test_nothing_was_asked_of_anybody_else(server, page, drawn):
    own = (server.address, "data:", "blob:", "chrome:")
    assert [address for address in page.requests() if not address.startswith(own)] == []
