"""What the package sweethome3d-furniture holds: libraries of textured OBJ models, each a zip file with its catalogue.

A library (`*.sh3f`) lists its models in a Java properties file: `name#12=Teapot`, `model#12=/folder/file.obj`, sizes in
centimetres. Models are y up and face +z, as glTF's do, once a model's own rotation is applied.
"""

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from threestudio.errors import UserError

CATALOGUE = "PluginFurnitureCatalog.properties"
LEFT_OUT = ("Characters", "Staircases", "Doors and windows")
FLATTEST = 0.02  # smallest side over largest: below are carpets, pictures, road markings
UNITED_STATES, UNPORTED = "CC BY 3.0 US", "CC BY 3.0"
LICENCES = {
    "BlendSwap-CC-0": "CC0 1.0",
    "BlendSwap-CC-BY": UNPORTED,
    "KatorLegaz": UNITED_STATES,
    "Reallusion": UNITED_STATES,
    "Scopia": UNPORTED,
}


@dataclass(frozen=True)
class Entry:
    """One model of a catalogue; `file` is its OBJ in the library's zip file, sides are in centimetres."""

    collection: Path
    key: str
    name: str
    creator: str
    category: str
    file: str
    sides: tuple[float, float, float]
    movable: bool
    opening: bool
    rotation: Float[ndarray, "3 3"]

    @property
    def file_name(self) -> str:
        """Of the GLB, without suffix: `Blend Swap CC-0#cup` becomes blend-swap-cc-0-cup."""
        return re.sub(r"[^a-z0-9]+", "-", self.key.lower()).strip("-")

    @property
    def is_object(self) -> bool:
        """No person, no part of a building, nothing that is fixed to a wall or the ground, nothing flat."""
        flat = min(self.sides) < FLATTEST * max(self.sides)
        return self.movable and not self.opening and not flat and self.category not in LEFT_OUT


@contextmanager
def libraries(package: Path) -> Iterator[list[Path]]:
    """The `*.sh3f` files of a .deb file, which is unpacked for the while, or of a folder that it was unpacked to."""
    if not package.exists():
        raise UserError(f"{package}: not found; get it with `apt-get download sweethome3d-furniture`")
    with tempfile.TemporaryDirectory() as unpacked:
        folder = package
        if package.is_file():
            unpack(package, Path(unpacked))
            folder = Path(unpacked)
        found = sorted(folder.rglob("*.sh3f"))
        if not found:
            raise UserError(f"{package}: no *.sh3f in it; expected the package sweethome3d-furniture")
        yield found


def unpack(package: Path, folder: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        raise UserError(f"{package}: unpacking needs dpkg-deb; unpack it elsewhere and name the folder instead")
    ended = subprocess.run(["dpkg-deb", "-x", package, folder], capture_output=True, text=True)
    if ended.returncode:
        raise UserError(f"{package}: {' '.join(ended.stderr.split())}")


def entries(library: Path) -> list[Entry]:
    """All models of one library, in the catalogue's order."""
    try:
        with zipfile.ZipFile(library) as archive:
            text = archive.read(CATALOGUE).decode("latin-1")
    except (zipfile.BadZipFile, KeyError) as error:
        raise UserError(f"{library}: no library of models ({error})") from None
    return [entry(library, fields) for _, fields in sorted(numbered(text).items())]


def numbered(text: str) -> dict[int, dict[str, str]]:
    """`key#number=value` lines by number."""
    fields: dict[int, dict[str, str]] = defaultdict(dict)
    for key, number, value in re.findall(r"^(\w+)#(\d+)\s*=(.*)$", text, re.MULTILINE):
        fields[int(number)][key] = unescaped(value.strip())
    return fields


def unescaped(value: str) -> str:
    """Properties files hold what latin-1 does not as \\u1234."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), value)


def entry(library: Path, fields: dict[str, str]) -> Entry:
    rotation = fields.get("modelRotation", "1 0 0 0 1 0 0 0 1")
    return Entry(
        collection=library,
        key=fields["id"],
        name=fields["name"],
        creator=fields.get("creator", ""),
        category=fields["category"],
        file=fields["model"].lstrip("/"),
        sides=(float(fields["width"]), float(fields["depth"]), float(fields["height"])),
        movable=fields.get("movable") == "true",
        opening=fields.get("doorOrWindow") == "true",
        rotation=np.array(rotation.split(), dtype=float).reshape(3, 3),
    )
