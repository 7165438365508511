"""A folder of pictures to textured meshes, on as many workers as you like, with scores and a report.

    python scripts/reconstruct_folder.py DIR --out OUT [--config FILE ...] [key=value ...]
        [--workers N] [--threads N] [--engine processes|ray] [--address auto] [--gpu-share 1] [--clip FOLDER]

DIR holds pictures, or <name>/rgba.png. OUT gets report.html, metrics.csv, table.md and, for each config and picture,
the trial folder OUT/<config>/<picture>/, as launch.py makes it. Several configs are compared. The same command again
goes on where it was stopped, and tries again what failed.

Exit code: 0 all pictures are done, 1 some failed, 2 a mistake in the command, 130 or 143 stopped.
"""

from collections.abc import Sequence

from studies.reconstruction.command import CASCADE, as_command, parsed, reconstruct


def main(argv: Sequence[str]) -> int:
    return as_command(reconstruct_folder, argv)


def reconstruct_folder(argv: Sequence[str]) -> int:
    arguments = parsed(argv, __doc__, [CASCADE])
    return reconstruct(arguments, arguments.folder.resolve().name)
