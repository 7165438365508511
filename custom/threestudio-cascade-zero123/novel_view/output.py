"""Novel views as a person looks at them: one labelled picture of all stages, and what to write beside the views."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..views import Cameras, Views, eight_bit
from .sampling import NovelViews

CELL, CAPTION = 160, 20  # pixels
COLUMNS = 8
INK, PAPER = (40, 40, 40), (255, 255, 255)
CONVENTION = (
    "degrees; the object at the origin, z up; azimuth = atan2(y, x), elevation from the horizon; cameras look at the "
    "origin, z up in the picture; distance in world units, in which the object spans about 1"
)

Picture = UInt8[np.ndarray, "h w 3"]
Cell = UInt8[np.ndarray, "cell_h cell_w 3"]


def view_label(azimuth_deg: float, elevation_deg: float) -> str:
    """`azimuth +45`, `elevation +30`, or both; `source` for no offset."""
    parts = [f"{name} {value:+g}" for name, value in (("azimuth", azimuth_deg), ("elevation", elevation_deg)) if value]
    return " ".join(parts) or "source"


def labels(shown: Views) -> list[str]:
    """Where each view stands beside the first, the source."""
    offsets = (shown.cameras.as_tensor() - shown.cameras[:1].as_tensor()).double().round(decimals=3)
    return [view_label(azimuth, elevation) for elevation, azimuth, _ in offsets.T.tolist()]


def save_views(shown: Views, pictures: int, folder: str | Path) -> list[Path]:
    """One PNG a view but the source, its colours on white, named by its place; the first `pictures` are real ones."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"picture {label}" if place < pictures else label for place, label in enumerate(labels(shown))][1:]
    paths = [folder / f"{index}_{name.replace(' ', '_')}.png" for index, name in enumerate(names)]
    for path, image in zip(paths, shown.pictures[1:], strict=True):
        # An export reads them back: none may be half written.
        unfinished = path.with_name(f".{path.name}.part")
        Image.fromarray(as_bytes(image)).save(unfinished, format="PNG")
        unfinished.replace(path)
    return paths


def labelled_rows(views: NovelViews) -> list[list[Cell]]:
    """Source and prompt views; then, up to eight targets at a time, their coarse predictions above what came out."""
    rows = [[captioned(image, label) for image, label in zip(views.shown.pictures, labels(views.shown), strict=True)]]
    coarse, made = views.coarse, views.views
    for first in range(0, len(made), COLUMNS):
        chunk = slice(first, first + COLUMNS)
        at = camera_labels(made.cameras[chunk])
        if coarse is not None:
            rows.append([captioned(v, f"coarse {where}") for v, where in zip(coarse.pictures[chunk], at, strict=True)])
        name = "refined" if coarse is not None or len(views.shown) > 1 else "view"
        rows.append([captioned(v, f"{name} {where}") for v, where in zip(made.pictures[chunk], at, strict=True)])
    return rows


def sheet(rows: list[list[Cell]]) -> Picture:
    """Rows below one another, the shorter ones with paper behind them."""
    longest = max(len(row) for row in rows)
    paper = np.broadcast_to(np.array(PAPER, dtype=np.uint8), rows[0][0].shape)
    return np.concatenate([np.concatenate([*row, *[paper] * (longest - len(row))], axis=1) for row in rows])


def camera_labels(cameras: Cameras) -> list[str]:
    """Azimuth and elevation: `+45, 10`."""
    pairs = zip(cameras.azimuth_deg.tolist(), cameras.elevation_deg.tolist(), strict=True)
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
    shown = views.shown.cameras
    return {
        "convention": CONVENTION,
        "fovy_deg": fovy_deg,
        "source": _camera(shown, 0),
        "prompt_views": [_camera(shown, view) for view in range(1, len(shown))],
        "views": [{"file": file, **_camera(views.views.cameras, view)} for view, file in enumerate(files)],
    }


def _camera(cameras: Cameras, view: int) -> dict[str, float]:
    values = vars(cameras[view])
    return {name: round(float(value), 6) for name, value in values.items()}
