"""More pictures of a job's object, from known sides: files in its folder, and a cameras.json for `data.pictures`."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from threestudio.errors import UserError
from threestudio.picture.further_pictures import LIST_FILE, named_pictures, write_list
from threestudio.web.limits import suffix_of

MOST = 8
ANGLES = "expected azimuth,elevation in degrees, as in 180,0"


@dataclass(frozen=True)
class Further:
    """Degrees: azimuth from the first picture's camera, to its right; elevation from the horizon."""

    name: str
    picture: BinaryIO
    azimuth_deg: float
    elevation_deg: float


def with_angles(names: Sequence[str], pictures: Sequence[BinaryIO], angles: Sequence[str]) -> list[Further]:
    """Each picture with what was said of its camera; raises UserError for another number of them than of pictures."""
    if len(angles) != len(pictures):
        raise UserError(f"{len(pictures)} further pictures and {len(angles)} angles; each takes one, {ANGLES}")
    if len(pictures) > MOST:
        raise UserError(f"{len(pictures)} further pictures; at most {MOST} are taken")
    return [Further(name, file, *degrees(said)) for name, file, said in zip(names, pictures, angles, strict=True)]


def degrees(said: str) -> tuple[float, float]:
    try:
        azimuth, elevation = (float(angle) for angle in said.split(","))
    except ValueError:
        raise UserError(f"angles={said:.40}: {ANGLES}") from None
    return azimuth, elevation


def save_further(further: Sequence[Further], folder: Path) -> list[Path]:
    """The files, in order, each beside the list that gives it its camera."""
    named, files = [], []
    for count, one in enumerate(further, start=1):
        file = folder / f"further-{count}{suffix_of(one.name)}"
        with open(file, "wb") as written:
            shutil.copyfileobj(one.picture, written)
        named.append((file.name, one.azimuth_deg, one.elevation_deg))
        files.append(file)
    if named:
        write_list(folder, named)
        named_pictures(str(folder / LIST_FILE), folder)  # refuses impossible angles
    return files
