"""Rows of scores as means with 95 % bootstrap intervals, and their paired differences, as JSON and as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from studies.metrics.bootstrap import bootstrap_interval
from studies.metrics.paper_tables import ARROWS
from studies.store import RowScores

DIGITS = {"PSNR": 2, "reprojection PSNR": 2, "PSNR to truth": 2, "sharpness": 4}  # of the others, three
UNITS = {"PSNR": "PSNR, dB", "reprojection PSNR": "reprojection PSNR, dB ↑", "PSNR to truth": "PSNR to truth, dB ↑"}


class Row(NamedTuple):
    """`model` is empty for a control that belongs to none."""

    model: str
    method: str
    kind: str

    def label(self) -> str:
        return f"{self.model}: {self.method}" if self.model else self.method


Scores = Mapping[int, Mapping[str, float]]  # object, metric


@dataclass(frozen=True)
class Reference:
    """A method of a model, with whose view of the same kind each row is compared; a row without kind: its sample."""

    label: str
    model: str
    method: str


@dataclass(frozen=True)
class Comparison:
    """Rows of scores, their means with intervals, and what they differ by from the references, object by object."""

    rows: Mapping[Row, Scores]
    references: Sequence[Reference]
    seed: int = 0

    def record(self) -> list[dict[str, Any]]:
        return [
            {**row._asdict(), "objects": len(scores), "mean": self._means(scores)}
            | {f"minus {reference.label}": self._means(self._minus(row, reference)) for reference in self.references}
            for row, scores in self.rows.items()
        ]

    def markdown(self, titles: Mapping[str, str]) -> str:
        """Two tables for each kind of view, under its title: means, and differences to the references."""
        return "\n".join(self._tables(kind, title) for kind, title in titles.items() if self._of_kind(kind))

    def _tables(self, kind: str, title: str) -> str:
        rows = self._of_kind(kind)
        metrics = list(dict.fromkeys(name for row in rows for name in next(iter(self.rows[row].values()), {})))
        lines = [f"## {title}", "", *_head(["", *(heading(name) for name in metrics)])]
        lines += [_line(row, [(self._means(self.rows[row]), metrics)]) for row in rows]
        if self.references:
            columns = [f"{name} minus {one.label}" for one in self.references for name in metrics]
            lines += ["", "Differences, object by object.", "", *_head(["", *columns])]
            for row in rows:
                lines.append(_line(row, [(self._means(self._minus(row, one)), metrics) for one in self.references]))
        return "\n".join(lines) + "\n"

    def _of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]

    def _minus(self, row: Row, reference: Reference) -> Scores:
        other = self.rows.get(Row(reference.model, reference.method, row.kind), {})
        return {
            number: {name: value - other[number][name] for name, value in scores.items() if name in other[number]}
            for number, scores in self.rows[row].items()
            if number in other
        }

    def _means(self, scores: Scores) -> dict[str, dict[str, float]]:
        """Of the metrics that every object has."""
        names = [name for name in next(iter(scores.values()), {}) if all(name in one for one in scores.values())]
        return {name: self._mean(np.array([one[name] for one in scores.values()])) for name in names}

    def _mean(self, values: np.ndarray) -> dict[str, float]:
        low, high = bootstrap_interval(values, self.seed)
        return {"mean": float(values.mean()), "low": low, "high": high}


def rows_of(
    model: str, kept: Mapping[int, RowScores], numbers: Iterable[int], methods: Mapping[str, str]
) -> dict[Row, Scores]:
    """Of the given objects; `methods` are those wanted, and what they are called."""
    rows: dict[Row, dict[int, Mapping[str, float]]] = {}
    for number in numbers:
        for method, kinds in kept[number].items():
            for kind, scores in kinds.items():
                if method in methods:
                    rows.setdefault(Row(model, methods[method], kind), {})[number] = scores
    return dict(rows)


def heading(metric: str) -> str:
    return f"{UNITS.get(metric, metric)} {ARROWS.get(metric, '')}".strip()


def _head(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |", "|---" * len(cells) + "|"]


def _line(row: Row, groups: Sequence[tuple[Mapping[str, Mapping[str, float]], Sequence[str]]]) -> str:
    cells = [_cell(name, means.get(name)) for means, metrics in groups for name in metrics]
    return "| " + " | ".join([row.label(), *cells]) + " |"


def _cell(name: str, mean: Mapping[str, float] | None) -> str:
    if mean is None:
        return "-"
    digits = DIGITS.get(name, 3)
    return f"{mean['mean']:.{digits}f} [{mean['low']:.{digits}f}, {mean['high']:.{digits}f}]"
