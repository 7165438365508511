"""Scores of many objects as tables with intervals, and the views of one object as a picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from studies.metrics.bootstrap import bootstrap_interval

METRICS = {
    "psnr": "PSNR (dB), up",
    "mask_iou": "mask IoU, up",
    "chamfer": "Chamfer (side = 1), down",
    "outline_iou": "outline IoU of the picture, up",
    "picture_psnr": "its PSNR (dB), up",
}
DIGITS = {"psnr": 2, "mask_iou": 3, "chamfer": 4, "outline_iou": 4, "picture_psnr": 2}
CELL, LABEL = 192, 110  # pixels

Scores = Mapping[str, Mapping[str, float]]  # of one method: object, metric


def table(scores: Mapping[str, Scores]) -> str:
    """Markdown: the mean of each method, and the first method against each other one on the objects of both."""
    methods = [method for method in scores if scores[method]]
    known = {metric for method in methods for found in scores[method].values() for metric in found}
    metrics = [metric for metric in METRICS if metric in known]
    lines = ["Means over objects, with 95 % bootstrap intervals.", "", *_head("method", metrics)]
    for method in methods:
        lines.append(_row(method, list(scores[method].values()), metrics))
    if len(methods) > 1:
        first, head = methods[0], _head(f"{methods[0]} minus", metrics)
        lines += ["", f"Difference of {first} to each other method, object by object.", "", *head]
        lines += [_row(other, _differences(scores[first], scores[other]), metrics) for other in methods[1:]]
    return "\n".join(lines) + "\n"


def _head(first: str, metrics: Sequence[str]) -> list[str]:
    titles = " | ".join(METRICS[metric] for metric in metrics)
    return [f"| {first} | objects | {titles} |", "|---|---|" + "---|" * len(metrics)]


def _row(name: str, objects: Sequence[Mapping[str, float]], metrics: Sequence[str]) -> str:
    cells = [name, str(len(objects))]
    for metric in metrics:
        values = np.array([scores[metric] for scores in objects if metric in scores])
        if not len(values):
            cells.append("")
            continue
        low, high = bootstrap_interval(values)
        cells.append("{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(values.mean(), low, high, d=DIGITS[metric]))
    return "| " + " | ".join(cells) + " |"


def _differences(first: Scores, other: Scores) -> list[dict[str, float]]:
    both = [(first[name], other[name]) for name in first if name in other]
    return [{metric: one[metric] - two[metric] for metric in one if metric in two} for one, two in both]


def sheet(
    rows: Sequence[tuple[str, Sequence[UInt8[ndarray, "_ _ 4"]]]],
) -> Image.Image:
    """Labelled rows of pictures with straight alpha, on white."""
    columns = max(len(pictures) for _, pictures in rows)
    result = Image.new("RGBA", (LABEL + columns * CELL, len(rows) * CELL), (255, 255, 255, 255))
    draw, font = ImageDraw.Draw(result), ImageFont.load_default(16)
    for row, (label, pictures) in enumerate(rows):
        draw.text((8, row * CELL + CELL // 2), label, fill=(40, 40, 40), font=font, anchor="lm")
        for column, picture in enumerate(pictures):
            cell = Image.fromarray(picture).resize((CELL, CELL), Image.Resampling.LANCZOS)
            result.alpha_composite(cell, (LABEL + column * CELL, row * CELL))
    return result.convert("RGB")
