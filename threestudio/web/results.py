"""What a run has made so far, by the names that people ask for."""

import zipfile
from pathlib import Path

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.live_picture import LIVE

MODELS = ("model.glb", "model.obj", "model.mtl", "model.stl", "model.ply")
TYPES = {
    ".glb": "model/gltf-binary",
    ".obj": "model/obj",
    ".mtl": "model/mtl",
    ".stl": "model/stl",
    ".ply": "application/octet-stream",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
    ".zip": "application/zip",
}
ZIP = "model.zip"


def results(place: Path) -> dict[str, Path]:
    """By name; of several exports the last one. Names are ours alone: nobody else's reaches the disk."""
    save = place / "save"
    found = {name: save / file for name, file in (("input.png", "input.png"), (LIVE, LIVE))}
    export, film = newest(save, "it*-export"), newest(save, "it*-test.mp4")
    if export is not None:
        found |= {name: export / name for name in (*MODELS, "contact-sheet.png")}
        found |= {path.name: path for path in sorted(export.glob("model_*.*")) if path.suffix in (".png", ".jpg")}
    if film is not None:
        found["turntable.mp4"] = film
    found |= {f"prompt-{number}.png": path for number, path in enumerate(prompts(place))}
    return {name: path for name, path in found.items() if path.is_file()}


def prompts(place: Path) -> list[Path]:
    """What the model imagined of the sides."""
    return sorted(path for path in (place / "save" / "prompt-views").glob("*.png") if not path.name.startswith("."))


def newest(folder: Path, pattern: str) -> Path | None:
    written = [path for path in folder.glob(pattern) if not path.name.startswith(".")]
    return max(written, key=lambda path: path.stat().st_mtime_ns, default=None)


def result(place: Path, name: str) -> Path:
    """One of them; the zip is made anew where a part of it is newer."""
    if name == ZIP:
        return zipped(place)
    found = results(place).get(name)
    if found is None:
        made = ", ".join(results(place)) or "nothing"
        raise UserError(f"{name:.80}: not made (so far); there is {made}")
    return found


def zipped(place: Path) -> Path:
    parts = {
        name: path for name, path in results(place).items() if name.startswith("model") or name == "contact-sheet.png"
    }
    if "model.glb" not in parts:
        raise UserError(f"{ZIP}: there is no mesh (so far)")
    path = place / ZIP
    if path.is_file() and path.stat().st_mtime_ns > max(part.stat().st_mtime_ns for part in parts.values()):
        return path
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.write(part, f"model/{name}")
    return path
