"""One row of a table: an optimisation with the truth-teller, from the object's picture to the scores of its GLB.

Everything of a row lies in a folder of its own. A row that is there is not computed again, an interrupted one goes on
from its last checkpoint.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import trimesh
from cascade_zero123.views import Cameras
from PIL import Image

from studies.meshes.scores import Truth, novel_views, score
from studies.meshes.summary import sheet
from studies.truth_teller.true_views import TrueViews, short_name, true_object
from threestudio.errors import UserError
from threestudio.mesh.files import read_glb
from threestudio.utils.atomic import atomic_path
from threestudio.utils.config import load_config

REPOSITORY = Path(__file__).resolve().parents[2]
ELEVATION_DEG, PICTURE_SIZE = 10.0, 512  # of the picture that a row begins with, seen from azimuth 0
SHOWN_VIEWS = (0, 2, 12, 6)  # of the novel views: front, +y side, back from above, -y side
NOT_LOOKED_AT = {"data.random_camera.n_test_views": 4, "data.random_camera.n_val_views": 1}

Scores = dict[str, float]


@dataclass(frozen=True)
class Row:
    """`label` is unique in its table; `changes` are config keys and their values, after those of `config`."""

    label: str
    config: Path
    truth: str  # of true_views.true_object
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.label} {short_name(self.truth)}".replace(" ", "_").replace("/", "-")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Of the config, given the picture's elevation and the truth-teller in the place of the weights."""
        return {
            "data.recenter": False,  # camera and scale stay those of the truth
            "data.default_elevation_deg": ELEVATION_DEG,
            "data.default_azimuth_deg": 0.0,
            "use_timestamp": False,
            "export_after_train": True,
            "system.exporter.fmt": "glb",
            **NOT_LOOKED_AT,
            "system.guidance_type": "truth-teller-guidance",
            "system.guidance.truth": self.truth,
            "system.guidance.truth_fovy_deg": "${data.default_fovy_deg}",
            "system.guidance.cache_dir": None,
            **self.changes,
        }


@dataclass(frozen=True)
class Runs:
    """The rows that are kept in a folder."""

    out: Path

    def scores(self, row: Row) -> Scores:
        """Kept in scores.json; raises UserError where those are of other settings."""
        kept = self.kept(row)
        if kept is not None:
            return kept
        folder, start = self.out / row.name, time.perf_counter()
        exported = self.launch(row, folder)
        truth = true_object(row.truth)
        mesh = read_glb(exported)
        scores = score(mesh, truth) | {"seconds": round(time.perf_counter() - start, 1)}
        save_sheet(folder / "sheet.png", mesh, truth)
        told = {"settings": told_settings(row), "scores": scores}
        with atomic_path(folder / "scores.json") as partial:
            partial.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        return scores

    def kept(self, row: Row) -> Scores | None:
        """None where the row has not been made."""
        path = self.out / row.name / "scores.json"
        if not path.is_file():
            return None
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["settings"] != told_settings(row):
            raise UserError(f"{path}: made with other settings; choose another --out or remove its folder")
        return told["scores"]

    def launch(self, row: Row, folder: Path) -> Path:
        """A process of its own, which takes up an interrupted run; the GLB that it exported."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = row.settings | {
            "data.image_path": str(save_picture(row, folder)),
            "exp_root_dir": str(folder.parent),
            "name": folder.name,
            "tag": "run",
        }
        if (folder / "run" / "ckpts" / "last.ckpt").is_file():
            settings["resume"] = str(folder / "run")
        with open(folder / "log.txt", "a", encoding="utf-8") as log:
            command = [sys.executable, "-m", "studies.truth_teller.launching", "--config", str(row.config), "--train"]
            command += assignments(settings)
            ended = subprocess.run(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT)
        exported = max(folder.glob("run/save/it*-export/*.glb"), key=lambda path: path.stat().st_mtime, default=None)
        if ended.returncode or exported is None:
            said = (folder / "log.txt").read_text(errors="replace").split()
            raise UserError(f"{row.name} ended with {ended.returncode}, see {folder}/log.txt: {' '.join(said)[-300:]}")
        return exported


def save_picture(row: Row, folder: Path) -> Path:
    """The one that the row begins with, as its config's camera sees the object."""
    path = folder / "picture.png"
    camera = load_config(str(row.config), cli_args=assignments(row.settings)).data
    at = Cameras.one(ELEVATION_DEG, 0.0, camera.default_camera_distance)
    picture = TrueViews(true_object(row.truth), camera.default_fovy_deg, PICTURE_SIZE).rgba(at)[0]
    with atomic_path(path) as partial:
        Image.fromarray(picture).save(partial)
    return path


def save_sheet(path: Path, mesh: trimesh.Trimesh, truth: Truth) -> None:
    """Four views of the truth and of the mesh, one above the other."""
    shown = list(SHOWN_VIEWS)
    rows = [("truth", list(truth.views[shown])), ("mesh", list(novel_views(mesh)[shown]))]
    with atomic_path(path) as partial:
        sheet(rows).save(partial)


def told_settings(row: Row) -> dict[str, Any]:
    """What the scores depend on beside the code, as JSON keeps it."""
    config = row.config.read_text(encoding="utf-8")
    return json.loads(json.dumps({"config": config, "settings": row.settings}))


def assignments(settings: Mapping[str, Any]) -> Sequence[str]:
    """As launch.py takes them; a value of text that refers to another key stays a reference."""
    return [f"{key}={value if str(value).startswith('${') else json.dumps(value)}" for key, value in settings.items()]
