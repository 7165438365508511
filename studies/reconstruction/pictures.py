"""The pictures of a folder: files in it, and `<name>/rgba.png` as in RealFusion15."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from threestudio.errors import UserError
from threestudio.utils.files import folder_name, regular_file, storable

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
    # What is not read is named as failed, not passed over.
    *(".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".tga", ".ico", ".exr", ".hdr", ".dng", ".cr2", ".nef", ".arw"),
)
# How a picture begins, whatever it is called; WebP, AVIF and HEIC after eight bytes.
BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
BEGINNINGS_LATER = (b"WEBP", b"avif", b"heic", b"heix", b"mif1")
# What the batch itself keeps beside the pictures' folders.
TAKEN = ("settings.json", "config.yaml")
IN_A_FOLDER_OF_ITS_OWN = "rgba.png"
COMPANIONS = ("_depth", "_normal")  # of the same view; the picture is the file without, or with _rgba


@dataclass(frozen=True)
class Picture:
    """`name` is unique in its folder."""

    name: str
    path: Path


def find_pictures(folder: Path) -> list[Picture]:
    """By name; whether they can be read is found out later, one by one."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of pictures")
    found = [picture for entry in sorted(folder.iterdir()) if (picture := _picture(entry)) is not None]
    if not found:
        wanted = ", ".join(f"*{suffix}" for suffix in SUFFIXES[:3])
        raise UserError(f"{folder}: no pictures in it; expected {wanted} or <name>/{IN_A_FOLDER_OF_ITS_OWN}")
    times = Counter(picture.name for picture in found)
    named = [Picture(_folder(picture, times[picture.name] > 1), picture.path) for picture in found]
    times = Counter([*(picture.name for picture in named), *TAKEN])
    return [_apart(picture, folder) if times[picture.name] > 1 else picture for picture in named]


def _folder(picture: Picture, several: bool) -> str:
    """What its results are kept as."""
    return folder_name(storable(picture.path.name if several and _alone(picture) else picture.name))


def _apart(picture: Picture, folder: Path) -> Picture:
    """From others of the name, and from what the batch keeps itself."""
    place = os.fsencode(picture.path.relative_to(folder))
    return Picture(f"{picture.name}-{hashlib.sha256(place).hexdigest()[:8]}", picture.path)


def _picture(entry: Path) -> Picture | None:
    if entry.name.startswith("."):
        return None
    inside = entry / IN_A_FOLDER_OF_ITS_OWN
    if os.path.lexists(inside):
        return Picture(entry.name, inside)
    if os.path.isdir(entry) or not _looks_like_a_picture(entry) or _is_companion(entry):
        return None
    return Picture(entry.stem, entry)


def _looks_like_a_picture(file: Path) -> bool:
    """By its name, else by its first bytes."""
    if file.suffix.lower() in SUFFIXES:
        return True
    try:
        with open(regular_file(file), "rb") as opened:
            head = opened.read(12)
    except (OSError, UserError):
        return False
    return head.startswith(BEGINNINGS) or head[8:] in BEGINNINGS_LATER


def _alone(picture: Picture) -> bool:
    """A file that names itself, not its folder: cat.png beside cat.jpg or cat/rgba.png needs its suffix."""
    return picture.path.stem == picture.name


def _is_companion(file: Path) -> bool:
    for suffix in COMPANIONS:
        stem = file.stem.removesuffix(suffix)
        if stem != file.stem and any(file.with_name(f"{stem}{end}.png").exists() for end in ("", "_rgba")):
            return True
    return False
