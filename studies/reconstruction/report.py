"""report.html: everything that a batch made, on one page that can be looked at without a network and other files."""

import re
from collections.abc import Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

from studies.reconstruction.cards import card, link_to_card
from studies.reconstruction.job import Job, Result
from threestudio.utils.atomic import atomic_path
from threestudio.web.embedding import VIEWER

HERE = Path(__file__).parent
MOST_EMBEDDED = 55_000_000  # characters; beyond, videos and meshes stay in the files beside the page
OURS, THEIRS = " (measured here)", " (the paper's number)"


def save_report(path: Path, title: str, results: Mapping[Job, Result], table: str) -> None:
    """`table` is Markdown by `paper_table`."""
    pictures = by_picture(results)
    parts: dict[str, str] = {name: file.read_text(encoding="utf-8") for name, file in FILES.items()}
    parts |= {"title": escape(title), "facts": escape(facts(results)), "table": html_table(table)}
    parts["contents"] = "\n".join(link_to_card(of) for of in pictures)
    parts["cards"] = cards(pictures)
    page = Template((HERE / "report.html").read_text(encoding="utf-8")).substitute(parts)
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")


FILES = {"style": HERE / "report.css", "viewer": VIEWER, "script": HERE / "report.js"}


def by_picture(results: Mapping[Job, Result]) -> list[dict[Job, Result]]:
    pictures: dict[str, dict[Job, Result]] = {}
    for job, result in results.items():
        pictures.setdefault(job.picture, {})[job] = result
    return list(pictures.values())


def cards(pictures: list[dict[Job, Result]]) -> str:
    made: list[str] = []
    for of in pictures:
        made.append(card(of, embed=sum(map(len, made)) < MOST_EMBEDDED))
    return "".join(made)


def facts(results: Mapping[Job, Result]) -> str:
    done = sum(result.done for result in results.values())
    failed = len(results) - done
    counted = f"{done} of {len(results)} reconstructions done" + (f", {failed} failed" if failed else "")
    return f"{counted} · {datetime.now():%-d %B %Y, %H:%M}"


def html_table(markdown: str) -> str:
    """The rows, the paper's paler than ours; then the notes."""
    lines = markdown.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "\n".join(row_of(row) for row in rows[2:])
    notes = "".join(f"<li>{escape(line)}</li>" for line in lines if line and not line.startswith("|"))
    return f'<div class="table"><table><tr>{head}</tr>\n{body}</table>\n<ul class="notes">{notes}</ul></div>'


def row_of(cells: list[str]) -> str:
    theirs = cells[0].endswith(THEIRS)
    name = re.sub(f"({re.escape(OURS)}|{re.escape(THEIRS)})$", "", cells[0])
    label = f"{escape(name)}<small>{'paper' if theirs else 'measured here'}</small>"
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells[1:])
    return f'<tr class="{"theirs" if theirs else "ours"}"><td>{label}</td>{rest}</tr>'
