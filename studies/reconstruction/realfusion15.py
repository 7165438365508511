"""Table 2 of the paper: the fifteen pictures of RealFusion15, by the cascade and by the plain Zero-1-to-3.

    python scripts/realfusion15.py DIR --out OUT [--config FILE ...] [key=value ...] [--workers N] ...

DIR holds the fifteen <name>/rgba.png. This is scripts/reconstruct_folder.py, whose options it takes, with the paper's
numbers beside the measured ones; without --config it runs configs/cascade-zero123.yaml and configs/zero123.yaml.
"""

from collections.abc import Sequence

from studies.metrics.paper_tables import TABLE_2
from studies.reconstruction.command import BASELINE, CASCADE, as_command, parsed, reconstruct

NAMES = (
    *("banana", "barbie_cake", "bird_sparrow", "blue_bird", "cactus", "cat_statue", "colorful_teapot"),
    *("fish_real_nemo", "metal_dragon_statue", "microphone", "stone_dragon_statue", "teddy_bear", "two_cherries"),
    *("two_donuts", "watercolor_horse"),
)


def main(argv: Sequence[str]) -> int:
    return as_command(compare, argv)


def compare(argv: Sequence[str]) -> int:
    return reconstruct(parsed(argv, __doc__, [CASCADE, BASELINE]), "RealFusion15", TABLE_2, NAMES)
