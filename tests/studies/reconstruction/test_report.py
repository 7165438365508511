"""The page as text; tests/studies/reconstruction/test_report_in_browser.py opens it."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from batch_stand_ins import finished, make_job

from studies.metrics.paper_tables import TABLE_2
from studies.reconstruction import report
from studies.reconstruction.job import FAILED, Result
from studies.reconstruction.tables import summary


class Page(HTMLParser):
    """Its elements as (tag, attributes), its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, attribute):
        return [attributes[attribute] for name, attributes in self.elements if name == tag and attribute in attributes]


@pytest.fixture
def results(tmp_path):
    """Two pictures by two methods, of which one failed at once and one is no picture at all."""
    jobs = [make_job(tmp_path, picture, method) for picture in ("cat & co", "dog") for method in ("cascade", "zero123")]
    found = {job: finished(job) for job in jobs[:3]}
    found[jobs[3]] = Result(FAILED, "<out of memory>")
    broken = make_job(tmp_path, "broken")
    with open(broken.path, "w") as file:
        file.write("no picture")
    return found | {broken: Result(FAILED, "broken.png: not a picture")}


@pytest.fixture
def page(results, tmp_path):
    path = tmp_path / "out" / "report.html"
    report.save_report(path, "RealFusion15", results, summary("RealFusion15", results, TABLE_2, ["Small model."]))
    return Page(path.read_text())


def test_every_link_leads_to_a_file_beside_the_page_or_to_a_card(page, tmp_path):
    for link in page.all("a", "href"):
        if link.startswith("#"):
            assert unquote(link[1:]) in page.all("article", "id")
        elif not link.endswith("log.txt"):
            assert (tmp_path / "out" / unquote(link)).is_file(), link
    names = [link.rsplit("/")[-1] for link in page.all("a", "href")]
    for name in ("model.glb", "model.obj", "model.mtl", "model_albedo.png"):
        assert names.count(name) == 3


def test_what_is_looked_at_is_inside_the_page(page):
    assert len(page.all("canvas", "data-mesh")) == len(page.all("video", "data-video")) == 3
    ids = page.all("script", "id")
    assert sorted(ids) == sorted(page.all("canvas", "data-mesh") + page.all("video", "data-video"))
    assert all(source.startswith("data:") for source in page.all("img", "src"))
    assert not page.all("script", "src") and not page.all("video", "src")
    assert page.all("link", "href") == ["data:,"]


def test_nothing_is_fetched_from_the_network(page, tmp_path):
    assert not re.search(r"https?://|@import|url\(", (tmp_path / "out" / "report.html").read_text())


def test_a_card_for_each_picture_with_the_reason_where_it_failed(page):
    assert len(page.all("article", "id")) == 3
    text = "".join(page.texts)
    assert "<out of memory>" in text
    assert "broken.png: not a picture" in text
    assert "The picture could not be read" in text


def test_what_was_not_measured_says_why(page):
    assert ["n/a", 'not "here"'] in [
        ["n/a", attributes["title"]] for tag, attributes in page.elements if tag == "dd" and "title" in attributes
    ]


def test_the_papers_rows_are_marked_as_theirs(page):
    classes = page.all("tr", "class")
    assert classes == ["theirs"] * len(TABLE_2) + ["ours"] * 2
    assert page.texts.count("paper") == len(TABLE_2)
    assert "Small model." in page.texts


def test_a_page_that_would_grow_too_heavy_leaves_the_rest_in_its_files(results, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_EMBEDDED", 1)
    path = tmp_path / "out" / "report.html"
    report.save_report(path, "pictures", results, summary("pictures", results, {}, []))
    page = Page(path.read_text())
    assert len(page.all("canvas", "data-mesh")) == 2
    (video,) = page.all("video", "src")
    assert (path.parent / unquote(video)).is_file()
