"""The functions that YAML files may call, as in `${idiv:${trainer.max_steps},2}`: upstream's names."""

import os
from typing import Any

from omegaconf import OmegaConf

from threestudio.utils.schedules import C_max

RESOLVERS: dict[str, Any] = {
    "calc_exp_lr_decay_rate": lambda factor, n: factor ** (1.0 / n),
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "idiv": lambda a, b: a // b,
    "basename": lambda path: os.path.basename(str(path or "")),  # what is no path is refused where it is read
    "rmspace": lambda text, filler: text.replace(" ", filler),
    "tuple2": lambda number: [float(number), float(number)],
    "gt0": lambda number: number > 0,
    "cmaxgt0": lambda schedule: C_max(schedule) > 0,
    "not": lambda value: not value,
    "cmaxgt0orcmaxgt0": lambda a, b: C_max(a) > 0 or C_max(b) > 0,
}

for name, function in RESOLVERS.items():
    OmegaConf.register_resolver(name, function, replace=True)
