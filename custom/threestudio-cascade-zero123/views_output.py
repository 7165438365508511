"""Novel views as a person looks at them: one labelled picture of all stages, and what to write beside the views."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .cascade.prompt_views import eight_bit
from .novel_view import NovelViews
from .zero123.pose import Pose

CELL, CAPTION = 160, 20  # pixels
COLUMNS = 8
INK, PAPER = (40, 40, 40), (255, 255, 255)
CONVENTION = (
    "degrees; the object at the origin, z up; azimuth = atan2(y, x), elevation from the horizon; cameras look at the "
    "origin, z up in the picture; distance in world units, in which the object spans about 1"
)

Picture = UInt8[np.ndarray, "h w 3"]
Cell = UInt8[np.ndarray, "cell_h cell_w 3"]


def labelled_rows(views: NovelViews) -> list[list[Cell]]:
    """Source and prompt views; then, up to eight targets at a time, their coarse predictions above what came out."""
    seen = views.base
    prompts = [captioned(image, label) for image, label in zip(seen.prompts.images, seen.prompts.labels, strict=True)]
    rows = [[captioned(seen.source[0], "source"), *prompts]]
    for first in range(0, len(views.images), COLUMNS):
        chunk = slice(first, first + COLUMNS)
        labels = pose_labels(Pose(*(value[chunk] for value in views.poses)))
        if seen.coarse is not None:
            rows.append([captioned(v, f"coarse {at}") for v, at in zip(seen.coarse[chunk], labels, strict=True)])
        name = "refined" if seen.coarse is not None or seen.prompts.labels else "view"
        rows.append([captioned(v, f"{name} {at}") for v, at in zip(views.images[chunk], labels, strict=True)])
    return rows


def sheet(rows: list[list[Cell]]) -> Picture:
    """Rows below one another, the shorter ones with paper behind them."""
    longest = max(len(row) for row in rows)
    paper = np.broadcast_to(np.array(PAPER, dtype=np.uint8), rows[0][0].shape)
    return np.concatenate([np.concatenate([*row, *[paper] * (longest - len(row))], axis=1) for row in rows])


def pose_labels(poses: Pose) -> list[str]:
    """Azimuth and elevation: `+45, 10`."""
    pairs = zip(poses.azimuth_deg.tolist(), poses.elevation_deg.tolist(), strict=True)
    return [f"{azimuth:+g}, {elevation:g}" for azimuth, elevation in pairs]


def captioned(image: Float[Tensor, "channel h w"], caption: str) -> Cell:
    """As large as a cell, the caption above."""
    cell = Image.new("RGB", (CELL, CELL + CAPTION), PAPER)
    pixels = Image.fromarray(as_bytes(image)).resize((CELL, CELL), Image.Resampling.BICUBIC)
    cell.paste(pixels, (0, CAPTION))
    draw = ImageDraw.Draw(cell)
    draw.text((CELL // 2, CAPTION // 2), caption, fill=INK, font=ImageFont.load_default(13), anchor="mm")
    return np.asarray(cell)


def as_bytes(image: Float[Tensor, "channel h w"]) -> Picture:
    """Its colours, on white."""
    return eight_bit(image[None, :3])[0].permute(1, 2, 0).cpu().numpy()


def camera_list(views: NovelViews, files: list[str], fovy_deg: float) -> dict[str, Any]:
    """The content of cameras.json."""
    prompts = views.base.prompts
    return {
        "convention": CONVENTION,
        "fovy_deg": fovy_deg,
        "source": _camera(views.base.pose, 0),
        "prompt_views": [_camera(prompts.poses, view) for view in range(len(prompts.labels))],
        "views": [{"file": file, **_camera(views.poses, view)} for view, file in enumerate(files)],
    }


def _camera(poses: Pose, view: int) -> dict[str, float]:
    return {name: round(float(values[view]), 6) for name, values in poses._asdict().items()}
