"""The report as a browser shows it; runs with END_TO_END=1 where Chromium and chromedriver are installed."""

import os

import browser
import numpy as np
import pytest
from batch_stand_ins import finished, make_job

from studies.metrics.paper_tables import TABLE_2
from studies.reconstruction.report import save_report
from studies.reconstruction.tables import summary

pytestmark = pytest.mark.skipif(
    not (os.environ.get("END_TO_END") and browser.installed()),
    reason="needs END_TO_END=1, chromium and chromedriver",
)
DRAWN = "return document.querySelectorAll('canvas.drawn').length"
PIXEL = """
const canvas = document.querySelectorAll("canvas")[arguments[0]], [x, y] = arguments[1];
return [...canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data];
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """One picture by two methods: a square whose four quarters have four colours, seen from its front."""
    folder = tmp_path_factory.mktemp("page")
    results = {job: finished(job) for job in (make_job(folder, method=method) for method in ("cascade", "zero123"))}
    path = folder / "out" / "report.html"
    save_report(path, "RealFusion15", results, summary("RealFusion15", results, TABLE_2, []))
    opened = browser.Browser(folder / "profile")
    opened.open(path)
    opened.until(lambda: opened.run(DRAWN) == 2)
    yield opened
    opened.close()


def is_color(pixel, color):
    return np.abs(np.array(pixel[:3]) - color).max() < 40 and pixel[3] == 255


def test_the_mesh_is_drawn_as_the_picture_shows_it(page):
    for column, row, color in [(0.4, 0.4, (255, 0, 0)), (0.6, 0.4, (0, 255, 0)), (0.4, 0.6, (0, 0, 255))]:
        assert is_color(page.run(PIXEL, 0, [column, row]), color)
    assert page.run(PIXEL, 0, [0.02, 0.02])[3] == 0


def test_dragging_turns_the_meshes_of_a_card_together(page):
    before = [page.run(PIXEL, number, [0.6, 0.4]) for number in (0, 1)]
    page.drag("canvas", right=150, down=0)
    for number in (0, 1):
        assert page.until(lambda number=number: page.run(PIXEL, number, [0.6, 0.4]) != before[number])
    page.drag("canvas", right=-150, down=0)
    page.until(lambda: [page.run(PIXEL, number, [0.6, 0.4]) for number in (0, 1)] == before)


def test_the_shape_is_shown_without_its_texture_on_demand(page):
    page.run("document.querySelector('.clay').click()")
    page.until(lambda: np.ptp(page.run(PIXEL, 0, [0.4, 0.4])[:3]) < 40)
    assert page.run("return document.querySelector('.clay').getAttribute('aria-pressed')") == "true"
    page.run("document.querySelector('.clay').click()")
    page.until(lambda: is_color(page.run(PIXEL, 0, [0.4, 0.4]), (255, 0, 0)))


def test_the_videos_play(page):
    page.run("document.querySelector('video').scrollIntoView()")
    playing = "return [...document.querySelectorAll('video')].every((video) => video.readyState >= 2 && !video.error)"
    page.until(lambda: page.run(playing))


def test_every_picture_is_shown_and_the_console_has_no_complaints(page):
    page.run("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
    complete = "return [...document.images].every((image) => image.complete && image.naturalWidth > 0)"
    page.until(lambda: page.run(complete))
    # That pixels are read often is these tests' doing.
    assert [complaint for complaint in page.complaints() if "willReadFrequently" not in complaint] == []


def test_the_page_is_no_wider_than_a_phone(page):
    page.resize(360, 740)
    assert page.run("return document.documentElement.scrollWidth") <= 360
