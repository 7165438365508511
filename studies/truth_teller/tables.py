"""Which rows the tables have.

outcome   each config with the perfect teller: does it end in a good mesh?
errors    each kind of error in four strengths, in a run of reduced size, by each variant of the settings
cascade   errors that follow the context, over what the cascade shows: Table 3's layouts of prompt views
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.truth_teller.runs import REPOSITORY, Row, Scores, assignments
from threestudio.utils.config import config_to_primitive, load_config

CONFIGS = tuple(
    REPOSITORY / "configs" / name for name in ("cascade-zero123-xl-low-memory.yaml", "cascade-zero123-xl.yaml")
)
OBJECTS = ("generated:6", "generated:0", "generated:3")
LEAST = {"psnr": 29.0, "mask_iou": 0.97}  # of the perfect teller's meshes
MOST = {"chamfer": 0.008}

STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur": (0.01, 0.02, 0.04, 0.08),
    "shift": (0.01, 0.02, 0.04, 0.08),
    "colour": (0.1, 0.2, 0.4, 0.8),
    "back": (0.1, 0.25, 0.5, 1.0),
    "unconditional": (0.1, 0.25, 0.5, 1.0),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "x0": {"system.guidance.weighting": "x0", "system.loss.lambda_sds": 0.05},
    "low noise": {"system.guidance.min_step_percent": 0.02, "system.guidance.max_step_percent": 0.5},
    "high noise": {"system.guidance.min_step_percent": 0.5, "system.guidance.max_step_percent": 0.98},
    "scale 1": {"system.guidance.guidance_scale": 1.0},
    "scale 7": {"system.guidance.guidance_scale": 7.0},
    "warm start": {
        "system.warm_start_views": 48,
        "system.warm_start_steps": 75,
        "system.loss.lambda_warm_rgb": [75, 500.0, 0.0, 150],
    },
    "no regularisers": {f"system.loss.lambda_{name}": 0.0 for name in ("sparsity", "opaque", "distortion", "orient")},
}
LAYOUTS: dict[str, list[list[float]]] = {
    "none": [],
    "nearby": [[45, 0], [-45, 0], [0, 30]],
    "larger": [[90, 0], [180, 0], [270, 0]],
    "more": [[-135, 0], [-90, 0], [-45, 0], [45, 0], [90, 0], [135, 0], [0, -10], [0, 30]],
    "random": [[71, 12], [-158, -3], [-24, 41]],
}
REDUCED_STEPS, REDUCED_SIZE = 300, 128
SCHEDULES = ("system.guidance.min_step_percent", "system.guidance.max_step_percent")
SCORES = {"psnr": "PSNR (dB), up", "mask_iou": "mask IoU, up", "chamfer": "Chamfer (side = 1), down"}
DIGITS = {"psnr": 1, "mask_iou": 3, "chamfer": 4}


def outcome_rows(configs: Sequence[Path], objects: Sequence[str], changes: Mapping[str, Any]) -> list[Row]:
    """Of the first table; object by object, so that what is there first says something of each config."""
    return [Row(config.stem, config, truth, changes) for truth in objects for config in configs]


def error_rows(
    config: Path, objects: Sequence[str], levels: Sequence[int], variants: Sequence[str], changes: Mapping[str, Any]
) -> list[Row]:
    """Of the second table; `levels` are places, from 1, among each kind's strengths."""
    small = reduced(config)
    strengths = [(kind, values[level - 1]) for level in levels for kind, values in STRENGTHS.items()]
    wrongs: list[tuple[str, dict[str, Any]]] = [("perfect", {})]
    wrongs += [(f"{kind} {value:g}", {f"system.guidance.errors.{kind}": value}) for kind, value in strengths]
    return [
        Row(f"{variant}, {label}", config, truth, {**small, **VARIANTS[variant], **wrong, **changes})
        for truth in objects
        for label, wrong in wrongs
        for variant in variants
    ]


def cascade_rows(
    config: Path, objects: Sequence[str], levels: Sequence[int], layouts: Sequence[str], changes: Mapping[str, Any]
) -> list[Row]:
    """The meshes of the third table."""
    small = reduced(config)
    return [
        Row(f"{layout}, level {level}", config, truth, {**small, **following(level), **shown(layout), **changes})
        for truth in objects
        for level in levels
        for layout in layouts
    ]


def following(level: int) -> dict[str, Any]:
    """Shift and colour of a level, which shrink near what is shown."""
    strengths = {kind: STRENGTHS[kind][level - 1] for kind in ("shift", "colour")}
    return {f"system.guidance.errors.{key}": value for key, value in {**strengths, "follows": True}.items()}


def shown(layout: str) -> dict[str, Any]:
    """The prompt views of a layout."""
    return {"system.guidance.prompt_views": LAYOUTS[layout]}


def reduced(config: Path, steps: int = REDUCED_STEPS) -> dict[str, Any]:
    """A config in so many steps at half its sizes: every schedule is as much shorter, the grid is coarser."""
    cfg = config_to_primitive(load_config(str(config), cli_args=assignments({"data.default_elevation_deg": 0})))
    factor = steps / cfg["trainer"]["max_steps"]
    losses = {f"system.loss.{key}": value for key, value in cfg["system"]["loss"].items()}
    scheduled = {key: cfg["system"]["guidance"][key.rpartition(".")[2]] for key in SCHEDULES} | losses
    sizes = [f"{block}.{side}" for block in ("data", "data.random_camera") for side in ("height", "width")]
    return {
        "trainer.max_steps": steps,
        "trainer.val_check_interval": steps,
        "system.guidance.truth_size": REDUCED_SIZE,
        "system.renderer.num_samples_per_ray": 96,
        "system.geometry.pos_encoding_config.n_levels": 10,
        "system.geometry.pos_encoding_config.log2_hashmap_size": 15,
        "system.exporter.texture_size": 1024,
        **dict.fromkeys(("data.random_camera.eval_height", "data.random_camera.eval_width"), 64),
        **dict.fromkeys(sizes, [32, 64]),
        **{f"{block}.resolution_milestones": [int(400 * factor)] for block in ("data", "data.random_camera")},
        **{key: shortened(value, factor) for key, value in scheduled.items() if isinstance(value, list)},
    }


def shortened(schedule: Sequence[float], factor: float) -> list[float]:
    """[start step, start, end, end step], in so much of the time."""
    first, start, end, last = schedule
    return [int(first * factor), start, end, int(last * factor)]


def markdown(rows: Iterable[tuple[Row, Scores]]) -> str:
    """One line a row that has been made."""
    head = ["row", "object", *SCORES.values(), "seconds"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row, scores in rows:
        object_name = row.truth.rpartition("/")[2]
        cells = [row.label, object_name, *(f"{scores[key]:.{DIGITS[key]}f}" for key in SCORES)]
        lines.append("| " + " | ".join([*cells, f"{scores['seconds']:.0f}"]) + " |")
    return "\n".join(lines) + "\n"


def falls_short(scores: Mapping[str, float]) -> list[str]:
    """The scores by which a perfect teller's mesh is no good one."""
    low = [key for key, least in LEAST.items() if scores[key] < least]
    return low + [key for key, most in MOST.items() if scores[key] > most]
