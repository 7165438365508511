"""Measures novel views against the truth, and against each other.

    python scripts/evaluate.py novel-views PACKED_VIEWS --model NAME=WEIGHTS [--objects 200] [--out DIR]
    python scripts/evaluate.py consistency PACKED_VIEWS --model NAME=WEIGHTS [--objects 20] [--out DIR]
    python scripts/evaluate.py table1 VIEWS --weights WEIGHTS [--objects 200] [--out table1]

WEIGHTS is a folder with base/ and refiner/, or the weights of one Zero-1-to-3.
"""

import argparse
from collections.abc import Sequence

from studies.commands import exit_code
from studies.novel_views import consistency, table1, table3


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, module in (("novel-views", table3), ("consistency", consistency), ("table1", table1)):
        command = commands.add_parser(
            name, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return exit_code(lambda: options.main(options))
