"""A folder of pictures to textured meshes, on as many workers as you like, with scores and a report.

    python scripts/reconstruct_folder.py DIR --out OUT [--config FILE ...] [key=value ...]
        [--workers N] [--threads N] [--engine processes|ray] [--address auto] [--gpu-share 1] [--clip FOLDER]

DIR holds pictures, or <name>/rgba.png. OUT gets report.html, metrics.csv, table.md and, for each config and picture,
the trial folder OUT/<config>/<picture>/, as launch.py makes it. Several configs are compared. The same command again
goes on where it was stopped, and tries again what failed.

Exit code: 0 all pictures are done, 1 some failed, 2 a mistake in the command, 130 or 143 stopped.
"""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    from reconstruction.command import CASCADE, parsed, reconstruct

    arguments = parsed(argv, __doc__, [CASCADE])
    return reconstruct(arguments, arguments.folder.resolve().name)


if __name__ == "__main__":
    from reconstruction.command import as_command

    sys.exit(as_command(main, sys.argv[1:]))
