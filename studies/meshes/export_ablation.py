"""What each step between field and mesh is worth: finished runs are exported again with one step off at a time.

A row is a set of overrides of the run's config. Everything happens in one process, and a fitted surface is fitted once
for all rows that do not change it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import threestudio
from studies.meshes.scores import Truth, picture_score, score
from threestudio.mesh.files import read_glb, write_glb
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.surface_stage import SurfaceConfig
from threestudio.systems.refinement import refined_surface
from threestudio.systems.run_pictures import source_of_run
from threestudio.utils.atomic import atomic_path
from threestudio.utils.checkpoint import load_checkpoint
from threestudio.utils.config import load_config

REFINED = {"system.refinement": True}
FIELD_ALONE = {"system.refinement": False}
ROWS: dict[str, dict[str, Any]] = {
    "surface stage": REFINED,
    "field alone": FIELD_ALONE,
    "stage, no blur of the start": REFINED | {"system.surface.smoothing": 0.0},
    "stage, pits kept": REFINED | {"system.surface.widest_pit": 0.0},
    "stage, missing columns left empty": REFINED | {"system.surface.fill_missing": False},
    "stage, no Taubin smoothing of the start": REFINED | {"system.surface.taubin_iterations": 0},
    "stage, no fit": REFINED | {"system.surface.steps": 0},
    "stage, picture's outline alone": REFINED | {"system.surface.field_weight": 0.0},
    "stage, no fairness": REFINED | {"system.surface.fairness": 0.0},
    "stage, colours not matched": REFINED | {"system.exporter.match_colors": False},
    "stage, picture not projected": REFINED | {"system.exporter.project_image": False},
    "field alone, floaters kept": FIELD_ALONE | {"system.geometry.isosurface_remove_outliers": False},
    "field alone, no Taubin smoothing": FIELD_ALONE | {"system.exporter.smooth_iterations": 0},
    "field alone, colours not matched": FIELD_ALONE | {"system.exporter.match_colors": False},
    "field alone, picture not projected": FIELD_ALONE | {"system.exporter.project_image": False},
}


def scored(run: Path, overrides: Mapping[str, Any], truth: Truth | None, folder: Path) -> dict[str, float]:
    """Of the mesh that a finished run gives with these settings, beside its picture and the truth if there is one.

    Kept in `folder`.
    """
    kept = folder / "scores.json"
    if kept.is_file():
        return json.loads(kept.read_text())["scores"]
    glb, view = exported(run, overrides, folder / "model.glb")
    mesh = read_glb(glb)
    scores = (score(mesh, truth) if truth is not None else {}) | picture_score(mesh, view)
    with atomic_path(kept) as partial:
        partial.write_text(json.dumps({"settings": dict(overrides), "scores": scores}, indent=1))
    return scores


def exported(run: Path, overrides: Mapping[str, Any], path: Path) -> tuple[Path, ReferenceView]:
    """The GLB of a trial folder's last checkpoint, and the picture that it was made from."""
    arguments = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    cfg = load_config(str(run / "configs" / "parsed.yaml"), cli_args=arguments)
    system = loaded(cfg, run)
    parts = {name: getattr(system, name) for name in ("geometry", "material", "background")}
    exporter = threestudio.find(cfg.system.exporter_type)(system.cfg.exporter, **parts)
    exporter.reference = source_of_run(system.get_save_dir(), threestudio.find(cfg.data_type)(cfg.data))
    if system.cfg.refinement:
        exporter.refined = refined_surface(system, exporter.reference, SurfaceConfig(**system.cfg.surface))
    written = write_glb(path, exporter.textured(exporter.surface()), view=exporter.reference)
    return written[0], exporter.reference


@torch.no_grad()
def loaded(cfg: Any, run: Path) -> Any:
    """The system of a run as its training left it."""
    checkpoint = load_checkpoint(run / "ckpts" / "last.ckpt")
    system = threestudio.find(cfg.system_type)(cfg.system, resumed=True)
    system.load_state_dict(checkpoint["state_dict"], strict=False)
    system.set_resume_status(checkpoint["epoch"], checkpoint["global_step"])
    system.do_update_step(checkpoint["epoch"], checkpoint["global_step"])
    system.set_save_dir(str(run / "save"))
    return system.eval()


def table_rows(wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Those of `ROWS` that are asked for, all where none is."""
    return {name: ROWS[name] for name in (wanted or ROWS)}
