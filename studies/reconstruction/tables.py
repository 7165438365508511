"""The numbers of a batch: metrics.csv with a line for each picture and config, and the table of their means."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.metrics import Score, mean_score
from studies.metrics.paper_tables import Numbers, paper_table
from studies.reconstruction.job import Job, Result
from threestudio.utils.atomic import atomic_path
from threestudio.utils.progress import minutes

Results = Mapping[Job, Result]
COLUMNS = ("seconds", "memory_mb", "gpu_memory_mb", "resumed_at_step", "faces", "vertices", "reason")
NOTHING = "n/a"


def save_csv(path: Path, results: Results) -> None:
    names = list(dict.fromkeys(name for result in results.values() for name in result.scores))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["picture", "method", "state", *names, *COLUMNS])
    for job, result in results.items():
        scores = [_number(result.scores.get(name)) for name in names]
        writer.writerow([job.picture, job.method, result.state, *scores, *(getattr(result, key) for key in COLUMNS)])
    with atomic_path(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def summary(title: str, results: Results, paper: Mapping[str, Numbers], notices: Sequence[str]) -> str:
    """Means over the pictures that are done, beside the paper's numbers if there are some."""
    done = {method: _done(results, method) for method in dict.fromkeys(job.method for job in results)}
    measured = {
        method: {name: mean_score([result.scores[name] for result in of]) for name in of[0].scores}
        for method, of in done.items()
        if of
    }
    said = dict.fromkeys(note for of in done.values() for result in of for note in result.notes)
    notes = [*(_effort(results, method, of) for method, of in done.items()), *(f"{note}." for note in said), *notices]
    return paper_table(title, measured, paper, notes)


def _done(results: Results, method: str) -> list[Result]:
    return [result for job, result in results.items() if job.method == method and result.done]


def _effort(results: Results, method: str, done: Sequence[Result]) -> str:
    """Of those that ran in one go: a resumed one has spent time that nobody has counted."""
    count = sum(job.method == method for job in results)
    text = f"{method}: {len(done)} of {count} pictures done"
    whole = [result for result in done if not result.resumed_at_step]
    if whole:
        mean = sum(result.seconds for result in whole) / len(whole)
        text += f"; {minutes(mean)} minutes each, {max(result.memory_mb for result in done) / 1000:.1f} GB of memory"
    return text + "."


def _number(score: Score | None) -> str:
    return NOTHING if score is None or score.value is None else f"{score.value:.6g}"
