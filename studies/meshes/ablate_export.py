"""What each step between field and mesh is worth: finished runs of `evaluate_reconstruction.py`, exported again.

    python scripts/ablate_export.py RESULTS/cascade --out OUT [--row NAME ...]

RESULTS/cascade/<object>/run are the trial folders; where there are none of this form, those of RESULTS itself are
taken for runs on pictures, which are scored from the picture's own camera alone. Scores that are in OUT already are not
computed again; the table is OUT/table.md.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from studies.commands import exit_code
from studies.meshes.export_ablation import ROWS, scored, table_rows
from studies.meshes.summary import table
from studies.meshes.true_objects import generated_object
from threestudio.errors import UserError
from threestudio.extensions import load_extensions
from threestudio.utils.atomic import atomic_path

CUSTOM = Path(__file__).resolve().parents[2] / "custom"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    return exit_code(lambda: ablate(arguments))


def ablate(arguments: argparse.Namespace) -> None:
    load_extensions(CUSTOM)
    objects = {run.parent.name: run for run in finished(arguments.results.glob("*/run"))}
    runs = objects or {run.name: run for run in finished(arguments.results.glob("*"))}
    if not runs:
        raise UserError(f"{arguments.results}: no finished runs (<object>/run or <picture>) in it")
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for row, overrides in table_rows(arguments.row).items():
        for name, run in runs.items():
            truth = generated_object(int(name.rpartition("-")[2]))[1] if name in objects else None
            scores.setdefault(row, {})[name] = scored(run, overrides, truth, arguments.out / row / name)
            print(row, name, scores[row][name], flush=True)
    with atomic_path(arguments.out / "table.md") as partial:
        partial.write_text(table(scores))
    print(table(scores))


def finished(folders: Iterable[Path]) -> list[Path]:
    return [run for run in sorted(folders) if any(run.glob("save/it*-export/*.glb"))]


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--row", nargs="+", choices=tuple(ROWS), default=[])
    return parser
