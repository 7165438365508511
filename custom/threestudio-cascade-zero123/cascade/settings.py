"""The cascade as a config states it: a list of stages, or upstream's and our older keys, which name its ends.

    cascade:
      - {weights: BASE, views: [[45, 0], [-45, 0], [0, 30]], steps: 25, scale: 3}
      - {weights: ANOTHER, views: [[90, 0], [-90, 0]], chain: true}
      - {weights: REFINER}

`base` and `refiner` are the first and the last stage, `prompt_views`, `prompt_steps`, `prompt_scale` and `prompt_seed`
what the first adds; beside a list they change its ends. A stage without weights has those of the stage before.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf

from threestudio.utils.config import parse_structured

from ..common.errors import UserError
from ..common.ranges import one_of, within
from ..common.seeding import LARGEST_SEED
from ..zero123.sampler import MOST_STEPS, SCALES
from .models import Choice
from .stages import NEARBY_DEG, Sampling, Stage, angle_pairs

WEIGHTS = tuple(key.name for key in dataclasses.fields(Choice))


@dataclass
class StageConfig:
    """An entry of `cascade`: a Zero-1-to-3 (zero123/weights.py), and the views that it adds for those after it."""

    weights: str | None = None
    config: str | None = None  # of a checkpoint, where it is not that of the published ones
    pose_token: str | None = None
    views: list = within([list(offset) for offset in NEARBY_DEG], -720, 720, "degrees")  # as `Stage.offsets_deg`
    steps: int = within(25, 1, MOST_STEPS, "of DDIM")
    scale: float = within(3.0, *SCALES)  # of classifier-free guidance
    seed: int = within(0, 0, LARGEST_SEED)
    chain: bool = False


@dataclass
class CascadeConfig:
    """The keys that whatever uses a cascade has."""

    cascade: list = within([], -1e12, 1e12, text=True)  # of StageConfig, which has the bounds
    base: dict = field(default_factory=dict)  # {weights, config, pose_token}
    refiner: dict = field(default_factory=dict)
    prompt_views: Any = within(None, -720, 720, "degrees")  # [azimuth, elevation] from the source; [] adds none
    prompt_steps: int | None = within(None, 1, MOST_STEPS, "of DDIM")
    prompt_scale: float | None = within(None, *SCALES)
    prompt_seed: int | None = within(None, 0, LARGEST_SEED)
    cache_dir: str | None = "outputs/.cache/prompt-views"  # null keeps nothing
    precision: str = one_of("fp32", "fp16", "bf16", "auto")  # zero123/precision.py
    vram_O: bool = True  # only what a step runs stays on the device


def stages_of(
    cfg: Any, block: str, upstream_path: str = "", upstream_config: str = ""
) -> tuple[list[Choice], list[Stage]]:
    """The models and the stages of a CascadeConfig, which the user wrote as `block`.

    `upstream_path` is upstream's name of the first one's weights.
    """
    entries = [_entry(entry, f"{block}.cascade[{place}]") for place, entry in enumerate(cfg.cascade)]
    entries = entries or [StageConfig(), StageConfig()]
    first, last = _weights(cfg.base, f"{block}.base"), _weights(cfg.refiner, f"{block}.refiner")
    if upstream_path and not (entries[0].weights or first.get("weights")):
        # Upstream names an LDM YAML with every model; a folder has its own configuration.
        config = {"config": upstream_config} if upstream_config and os.path.isfile(upstream_path) else {}
        first = {"weights": upstream_path} | config | first
    entries[0] = dataclasses.replace(entries[0], **_prompts(cfg, block))
    for place, given in ((0, first), (-1, last)):  # which are one, of a cascade of one
        entries[place] = _with_weights(entries[place], given)
    stages = [_stage(entry, f"{block}.cascade[{place}].views") for place, entry in enumerate(entries)]
    return _choices(entries, block), stages


def _entry(entry: Any, key: str) -> StageConfig:
    if not isinstance(entry, Mapping):
        raise UserError(f"{key}: {entry} is not a stage; expected {{weights: .., views: .., ..}}")
    refuse_unknown(entry, key, [field.name for field in dataclasses.fields(StageConfig)])
    _weights({name: entry[name] for name in WEIGHTS if name in entry}, key)
    parsed: Any = OmegaConf.to_object(parse_structured(StageConfig, entry))
    return parsed


def _prompts(cfg: Any, block: str) -> dict[str, Any]:
    """What the older keys say of the first stage."""
    given = {name: getattr(cfg, f"prompt_{name}") for name in ("views", "steps", "scale", "seed")}
    if given["views"] is not None:
        given["views"] = angle_pairs(f"{block}.prompt_views", given["views"])
    return {name: value for name, value in given.items() if value is not None}


def _weights(given: Mapping[str, Any], key: str) -> dict[str, str]:
    """What is given of a model's weights; a name of digits, as 105000, is a number to YAML."""
    refuse_unknown(given, key, WEIGHTS)
    for name, value in given.items():
        if not isinstance(value, (str, int, type(None))):
            raise UserError(f"{key}.{name}: {value} is not a name")
    return {name: str(value) for name, value in given.items() if value}


def refuse_unknown(given: Mapping[str, Any], key: str, known: Sequence[str]) -> None:
    """Raises UserError, naming the first unknown name in a block and those that there are."""
    for name in given:
        if name not in known:
            raise UserError(f"{key}.{name}: unknown key; known are {', '.join(known)}")


def _with_weights(entry: StageConfig, given: Mapping[str, str | None]) -> StageConfig:
    """Other weights take nothing else from those that the list names."""
    kept = {} if "weights" in given else {name: getattr(entry, name) for name in WEIGHTS}
    changed: dict[str, Any] = {name: {**kept, **given}.get(name) for name in WEIGHTS}
    return dataclasses.replace(entry, **changed)


def _choices(entries: Sequence[StageConfig], block: str) -> list[Choice]:
    """A stage without weights of its own has those of the one before, with all that this says of them."""
    choices: list[Choice] = []
    for entry in entries:
        own = {name: getattr(entry, name) for name in WEIGHTS if getattr(entry, name)}
        if "weights" not in own and not choices:
            where = f"{block}.cascade[0]" if len(entries) != 2 else f"{block}.base"
            raise UserError(f"{where}.weights must be given: Zero-1-to-3 weights, a folder or a checkpoint")
        choices.append(Choice(**own) if "weights" in own else dataclasses.replace(choices[-1], **own))
    return choices


def _stage(entry: StageConfig, key: str) -> Stage:
    return Stage(angle_pairs(key, entry.views), Sampling(entry.steps, entry.scale, entry.seed), entry.chain)
