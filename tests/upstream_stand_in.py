"""Run by test_two_hosts.py in a process of its own: the extension under a bare stand-in for upstream threestudio.

    python upstream_stand_in.py <extension's folder> <config of the guidance, as JSON>

The stand-in offers the names that upstream 0.2.3 has, and parses configs and loads the extension by upstream's rules:
plain dataclasses through OmegaConf, and a module named after the folder, hyphens and all. Prints the components that
were registered, and one step of the guidance, as JSON.
"""

import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytorch_lightning
import torch
from omegaconf import OmegaConf
from torch import nn

components: dict[str, type] = {}


def register(name: str) -> Any:
    return lambda component: components.setdefault(name, component)


def parse_structured(fields: Any, cfg: Any = None) -> Any:
    return OmegaConf.structured(fields(**cfg))


def scheduled(value: Any, epoch: int, step: int) -> float:
    if isinstance(value, (int, float)):
        return value
    first, start, end, last = value
    return start + (end - start) * min(max((step - first) / (last - first), 0.0), 1.0)


class Updateable:
    pass


class BaseObject(Updateable):
    @dataclass
    class Config:
        pass

    def __init__(self, cfg: Any = None) -> None:
        self.cfg = parse_structured(self.Config, cfg)
        self.device = torch.device("cpu")
        self.configure()


class BaseModule(nn.Module, Updateable):
    @dataclass
    class Config:
        weights: str | None = None


class BaseSystem(pytorch_lightning.LightningModule, Updateable):
    @dataclass
    class Config:
        pass


NAMES: dict[str, dict[str, Any]] = {
    "threestudio": {"register": register, "find": components.get, **dict.fromkeys(("info", "warn", "debug"), str)},
    "threestudio.utils": {},
    "threestudio.utils.base": {"BaseObject": BaseObject, "BaseModule": BaseModule, "Updateable": Updateable},
    "threestudio.utils.config": {"parse_structured": parse_structured},
    "threestudio.utils.misc": {"C": scheduled, "cleanup": lambda: None, "get_device": None, "get_rank": lambda: 0},
    "threestudio.systems": {},
    "threestudio.systems.base": {"BaseSystem": BaseSystem, "BaseLift3DSystem": BaseSystem},
}


def install() -> None:
    for name, content in NAMES.items():
        module = sys.modules[name] = ModuleType(name)
        module.__path__ = []
        vars(module).update(content)


def load(folder: Path) -> None:
    spec = importlib.util.spec_from_file_location(folder.name, folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[folder.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def step(guidance: Any) -> dict[str, Any]:
    """The same in both hosts, called as upstream's zero123-system calls its guidance."""
    guidance.update_step(0, 50)
    rgb = torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    batch = {"elevation": torch.tensor([0.0, 40.0]), "azimuth": torch.tensor([30.0, -120.0])}
    batch |= {"camera_distances": torch.full((2,), 3.8), "rays_o": None, "height": 16, "bg_color": None}
    out = guidance(rgb, **batch, rgb_as_latents=False, guidance_eval=True)
    out["loss_sds"].backward()
    eval_keys = sorted(out["eval"])
    gradient = torch.Tensor(rgb.grad).flatten().tolist()
    return {"loss": out["loss_sds"].item(), "gradient": gradient, "max_step": out["max_step"], "eval": eval_keys}


if __name__ == "__main__":
    install()
    load(Path(sys.argv[1]))
    computed = step(components["cascade-zero123-guidance"](json.loads(sys.argv[2])))
    print(json.dumps({"components": sorted(components), "step": computed}))
