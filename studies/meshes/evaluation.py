"""Scores of image to 3D on objects whose true mesh is known, beside what any method has to beat.

    python scripts/evaluate_reconstruction.py --config configs/cascade-zero123.yaml --objects 10 --out OUT
        [--meshes FOLDER] [--method cascade zero123 frozen reference card inflated] [key=value ...]

The objects are generated ones of the test split, or a folder's GLB, glTF and OBJ files (y up, front towards +z), in an
order that a hash of their names decides.

cascade    the given config                      card       the picture on a flat card that faces its camera
zero123    configs/zero123.yaml                  inflated   its silhouette inflated, mirrored to the back
frozen     the given config with Base in the Refiner's place too (Table 3's "two Zero-1-to-3 in cascade")
reference  the given config without guidance: the picture alone
back       the given config and a second picture, the true view from behind, shown and fitted

Each method sees one picture (512 px, azimuth 0, elevation 10 or --elevation) and is told its camera, unless
data.default_elevation_deg=auto is to find it; it writes a GLB, and is scored by that file, read back. What is in OUT
already is not computed again; an object that fails is reported, and the others go on.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studies.meshes import controls
from studies.meshes.scores import (
    DISTANCE,
    FOVY_DEG,
    SOURCE_AZIMUTH_DEG,
    SOURCE_ELEVATION_DEG,
    Truth,
    novel_views,
    score,
    source_camera,
    source_elevation_deg,
    take_pictures_from,
)
from studies.meshes.summary import sheet, table
from studies.meshes.true_objects import MeshObjects, generated_object
from studies.reconstruction.plan import deciding
from studies.store import read_json, refuse_others, write_json
from threestudio.errors import UserError
from threestudio.mesh.files import read_glb, write_glb
from threestudio.utils.atomic import atomic_path
from threestudio.utils.config import config_to_primitive, load_config
from threestudio.utils.console import exit_code_of

REPOSITORY = Path(__file__).resolve().parents[2]
BASELINE = REPOSITORY / "configs" / "zero123.yaml"
CONTROLS = {"card": controls.card, "inflated": controls.inflated}
METHODS = ("cascade", "back", "zero123", "frozen", "reference", *CONTROLS)
FIRST_WEIGHTS = "${oc.select:system.guidance.base.weights,${system.guidance.cascade[0].weights}}"
FROZEN = {"system.guidance.refiner.weights": FIRST_WEIGHTS}
PICTURE_ALONE: dict[str, Any] = {
    "system.loss.lambda_sds": 0.0,
    "system.warm_start_views": 0,
    "system.warm_start_steps": 0,
    "system.freq.ref_only_steps": 1_000_000,
    "system.guidance.prompt_views": [],
}
OTHER_SETTINGS = "made with other settings; choose another --out or remove it"
SHOWN_VIEWS = (0, 2, 12, 6)  # of the novel views: front, +y side, back from above, -y side


@dataclass(frozen=True)
class Evaluation:
    """`true_object(index)` gives an object's name and truth."""

    config: Path
    out: Path
    overrides: Sequence[str]
    true_object: Callable[[int], tuple[str, Truth]]

    def run(self, objects: int, methods: Sequence[str]) -> list[str]:
        """One line for each object and method that failed."""
        failures = []
        for index in range(objects):
            try:
                name, truth = self.true_object(index)
                save_picture(self.picture(name), truth.picture)
                save_picture(self.picture(f"{name}-back"), truth.picture_from_behind)
            except Exception as error:
                failures.append(f"object {index}: {one_line(error)}")
                continue
            for method in methods:
                try:
                    scores = self.scores(method, name, truth)
                    print(f"{name} {method}: " + ", ".join(f"{key} {value:.4g}" for key, value in scores.items()))
                except Exception as error:
                    failures.append(f"{name} {method}: {one_line(error)}")
                    print(failures[-1], file=sys.stderr)
            self.save_sheet(name, truth)
        return failures

    def scores(self, method: str, name: str, truth: Truth) -> dict[str, float]:
        """Of one object; kept in scores.json."""
        folder = self.out / method / name
        path, settings = folder / "scores.json", self.settings(method)
        if (kept := read_json(path)) is not None:
            refuse_others(kept["settings"], settings, lambda *_: f"{path}: {OTHER_SETTINGS}")
            return kept["scores"]
        start = time.perf_counter()
        glb = self.reconstruct(method, name, truth)
        scores = score(read_glb(glb), truth) | {"seconds": round(time.perf_counter() - start, 1)}
        write_json(path, {"settings": settings, "scores": scores})
        return scores

    def reconstruct(self, method: str, name: str, truth: Truth) -> Path:
        """The GLB of one object by one method."""
        glb = self.out / method / name / "model.glb"
        glb.parent.mkdir(parents=True, exist_ok=True)
        if method in CONTROLS:
            write_glb(glb, CONTROLS[method](truth.picture, source_camera()[0], FOVY_DEG))
            return glb
        exported = self.launch(method, name)
        with atomic_path(glb) as partial:
            partial.write_bytes(exported.read_bytes())
        return glb

    def launch(self, method: str, name: str) -> Path:
        """launch.py in a process of its own, taking up an interrupted run; the GLB that it exported."""
        trial = self.out / method / name / "run"
        settings = {
            "data.image_path": str(self.picture(name)),
            "data.recenter": False,  # camera and scale stay those of the truth
            "data.default_elevation_deg": source_elevation_deg(),
            "data.default_azimuth_deg": SOURCE_AZIMUTH_DEG,
            "data.default_camera_distance": DISTANCE,
            "data.default_fovy_deg": FOVY_DEG,
            "exp_root_dir": str(self.out / method),
            "name": name,
            "tag": "run",
            "use_timestamp": False,
            "export_after_train": True,
            # The turntable is not looked at, nor the OBJ.
            "data.random_camera.n_test_views": 4,
            "system.exporter.fmt": "glb",
        }
        if method == "back":
            behind = {"azimuth": SOURCE_AZIMUTH_DEG + 180, "elevation": SOURCE_ELEVATION_DEG}
            settings["data.pictures"] = {str(self.picture(f"{name}-back")): behind}
        if (trial / "ckpts" / "last.ckpt").exists():
            settings["resume"] = str(trial)
        arguments = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        command = [sys.executable, "launch.py", "--config", str(self.config_of(method)), "--train"]
        log = trial.with_name("log.txt")
        with open(log, "a") as output:
            command += [*arguments, *method_overrides(method), *self.overrides]
            ended = subprocess.run(command, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
        exported = max(trial.glob("save/it*-export/*.glb"), key=lambda path: path.stat().st_mtime, default=None)
        if ended.returncode or exported is None:
            said = log.read_text(errors="replace").split()
            raise UserError(f"launch.py ended with {ended.returncode}, see {log}: {' '.join(said)[-300:]}")
        return exported

    def config_of(self, method: str) -> Path:
        return BASELINE if method == "zero123" else self.config

    def settings(self, method: str) -> dict[str, object]:
        """What the scores depend on, beside the code."""
        if method in CONTROLS:
            return {}
        overrides = [*method_overrides(method), *self.overrides]
        cfg = config_to_primitive(load_config(str(self.config_of(method)), cli_args=overrides))
        return deciding(cfg)

    def picture(self, name: str) -> Path:
        return self.out / "pictures" / f"{name}.png"

    def save_sheet(self, name: str, truth: Truth) -> None:
        """The source, and four views of the truth and of each method's result so far."""
        shown = list(SHOWN_VIEWS)
        blank = np.zeros_like(truth.picture)
        rows = [("truth", [truth.picture, *truth.views[shown]])]
        for method in METHODS:
            glb = self.out / method / name / "model.glb"
            if glb.exists():
                rows.append((method, [blank, *novel_views(read_glb(glb))[shown]]))
        with atomic_path(self.out / "sheets" / f"{name}.png") as partial:
            sheet(rows).save(partial)

    def save_table(self) -> str:
        """Of all scores in the folder, from this run or an earlier one."""
        scores: dict[str, dict[str, dict[str, float]]] = {}
        for method in METHODS:
            paths = sorted((self.out / method).glob("*/scores.json"))
            scores[method] = {path.parent.name: read_json(path)["scores"] for path in paths}
        text = table(scores)
        with atomic_path(self.out / "table.md") as partial:
            partial.write_text(text)
        return text


def method_overrides(method: str) -> list[str]:
    changes: dict[str, dict[str, Any]] = {"reference": PICTURE_ALONE, "frozen": FROZEN}
    return [f"{key}={json.dumps(value)}" for key, value in changes.get(method, {}).items()]


def save_picture(path: Path, rgba: np.ndarray) -> None:
    with atomic_path(path) as partial:
        Image.fromarray(rgba).save(partial)


def one_line(error: Exception) -> str:
    message = " ".join(str(error).split())
    return message if isinstance(error, (UserError, OSError)) else f"{type(error).__name__}: {message}"


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    overrides = [argument for argument in argv if "=" in argument and not argument.startswith("-")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--meshes", type=Path, help="folder of true meshes, in place of generated objects")
    parser.add_argument("--elevation", type=float, default=SOURCE_ELEVATION_DEG, help="of the picture, in degrees [10]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--method", nargs="+", choices=METHODS, default=["cascade", "reference", *CONTROLS])
    parser.usage = (
        "%(prog)s --config FILE --out FOLDER [--objects N] [--meshes FOLDER] [--method NAME ...] [key=value ...]"
    )
    return parser.parse_args([argument for argument in argv if argument not in overrides]), overrides


def main(argv: Sequence[str] | None = None) -> int:
    arguments, overrides = parse_arguments(sys.argv[1:] if argv is None else argv)
    try:
        return evaluate(arguments, overrides)
    except (UserError, OSError) as error:
        return exit_code_of(error)


def evaluate(arguments: argparse.Namespace, overrides: list[str]) -> int:
    if not arguments.config.is_file():
        raise UserError(f"{arguments.config}: no such config file")
    take_pictures_from(arguments.elevation)
    true_object, count = generated_object, arguments.objects
    if arguments.meshes:
        true_object = MeshObjects(arguments.meshes.resolve())
        count = min(count, len(true_object.files))
    evaluation = Evaluation(arguments.config.resolve(), arguments.out.resolve(), overrides, true_object)
    failures = evaluation.run(count, arguments.method)
    print(evaluation.save_table())
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0
