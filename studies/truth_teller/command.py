"""The path of the published weights without the weights: tables of what a model that knows the truth ends in.

    python scripts/study_truth.py outcome --out OUT [--config FILE ..] [--objects NAME ..] [key=value ..]
    python scripts/study_truth.py errors  --out OUT [--strengths 1 2 3 4] [--variants NAME ..] ..
    python scripts/study_truth.py cascade --out OUT [--strengths 1 2 3 4] [--layouts NAME ..] ..
    python scripts/study_truth.py cost    --out OUT [--steps N] ..

An object is `generated:INDEX` of the test split, or a GLB, glTF or OBJ file. A row is kept as soon as it is made, in a
folder of its own with its mesh, log and picture; the same command goes on where another one ended. OUT/<table>.md has
all rows of the command that have been made; so has OUT/novel-views.md the novel views of `cascade`.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from studies.commands import exit_code
from studies.truth_teller.costs import cost_table
from studies.truth_teller.novel_views import novel_view_table
from studies.truth_teller.runs import Row, Runs
from studies.truth_teller.tables import (
    CONFIGS,
    LAYOUTS,
    OBJECTS,
    VARIANTS,
    cascade_rows,
    error_rows,
    falls_short,
    markdown,
    outcome_rows,
)
from threestudio.utils.atomic import atomic_path
from threestudio.utils.progress import stage

TABLES = ("outcome", "errors", "cascade", "cost")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    # As an exception, so that the run in progress is ended too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    given = list(sys.argv[1:] if argv is None else argv)
    return exit_code(lambda: study(*parsed(given)))


def parsed(argv: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """The arguments, and the changes of settings among them."""
    changes = [argument for argument in argv if "=" in argument and not argument.startswith("-")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, nargs="+", default=list(CONFIGS))
    parser.add_argument("--objects", nargs="+", default=list(OBJECTS))
    parser.add_argument("--strengths", type=int, nargs="+", choices=(1, 2, 3, 4), default=[1, 2, 3, 4])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["as it is"])
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--steps", type=int, default=5, help="measured at each place of a run, for the costs [5]")
    arguments = parser.parse_args([argument for argument in argv if argument not in changes])
    split = (change.partition("=") for change in changes)
    return arguments, {key: yaml.safe_load(value) for key, _, value in split}


def study(arguments: argparse.Namespace, changes: dict[str, Any]) -> None:
    """Makes and prints a table."""
    if arguments.table == "cost":
        text = "\n".join(costs_of(config.resolve(), arguments, changes) for config in arguments.config)
        save(arguments.out / "cost.md", text)
        print(text)
        return
    if arguments.table == "cascade":
        text = novel_view_table(arguments.objects[0], arguments.strengths, arguments.layouts)
        save(arguments.out / "novel-views.md", text)
        print(text, flush=True)
    rows = rows_of(arguments, changes)
    make(rows, arguments.out, arguments.table, perfect=arguments.table == "outcome")


def costs_of(config: Path, arguments: argparse.Namespace, changes: dict[str, Any]) -> str:
    """Of a config on the first object; of its whole run, where `outcome` has made it."""
    row = Row(config.stem, config, arguments.objects[0], changes)
    return cost_table(row, arguments.out.resolve() / "outcome" / row.name, arguments.steps)


def rows_of(arguments: argparse.Namespace, changes: dict[str, Any]) -> list[Row]:
    """In the order in which they are made."""
    configs = [config.resolve() for config in arguments.config]
    if arguments.table == "outcome":
        return outcome_rows(configs, arguments.objects, changes)
    where = configs[0], arguments.objects, arguments.strengths
    if arguments.table == "errors":
        return error_rows(*where, arguments.variants, changes)
    return cascade_rows(*where, arguments.layouts, changes)


def make(rows: Sequence[Row], out: Path, name: str, perfect: bool) -> None:
    """One after the other; the table is written anew after each."""
    runs = Runs(out.resolve() / name)
    made = [(row, scores) for row in rows if (scores := runs.kept(row)) is not None]
    with stage(name, len(rows), len(made)) as progress:
        for row in rows:
            if all(row is not other for other, _ in made):
                scores = runs.scores(row)
                made.append((row, scores))
                short = falls_short(scores) if perfect else []
                progress.advance(note=f"{row.name}{' falls short in ' * bool(short)}{', '.join(short)}")
                progress.say()
                save(out / f"{name}.md", markdown(made))
    print(markdown(made), flush=True)


def save(path: Path, text: str) -> None:
    """Whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
