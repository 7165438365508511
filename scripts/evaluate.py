"""Measures novel views against the truth, and against each other.

    python scripts/evaluate.py novel-views PACKED_VIEWS --model NAME=WEIGHTS [--objects 200] [--out DIR]
    python scripts/evaluate.py consistency PACKED_VIEWS --model NAME=WEIGHTS [--objects 20] [--out DIR]
    python scripts/evaluate.py table1 VIEWS --weights WEIGHTS [--objects 200] [--out table1]

WEIGHTS is a folder with base/ and refiner/, or the weights of one Zero-1-to-3.
"""

import argparse
import sys

from cascade_zero123.common.errors import UserError
from evaluation import consistency, novel_views, table1

from threestudio.utils.console import exit_code_of


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, module in (("novel-views", novel_views), ("consistency", consistency), ("table1", table1)):
        command = commands.add_parser(
            name, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        options.main(options)
    except (UserError, OSError) as error:
        return exit_code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
