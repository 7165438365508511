"""Optimisers and learning-rate schedules from config blocks, with upstream's keys."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning.utilities.types import LRSchedulerConfigType
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from threestudio.errors import UserError, nearest_name
from threestudio.utils.config import config_to_primitive, refuse_arguments
from threestudio.utils.ranges import bounds

# Of the arguments of all of torch's optimisers and schedules: other numbers have to be finite.
RATE = bounds(0, 100)
SHARE = bounds(0, 1)
STEPS = bounds(1, 10**9, "steps", whole=True)
ARGUMENTS = {
    **dict.fromkeys(("lr", "max_lr", "base_lr", "eta_min", "initial_lr"), RATE),
    **dict.fromkeys(("betas", "momentum", "alpha", "rho", "dampening", "beta2_decay"), SHARE),
    **dict.fromkeys(("weight_decay", "lambd", "lr_decay", "initial_accumulator_value"), bounds(0, 100)),
    "eps": bounds(1e-30, 1),
    **dict.fromkeys(("gamma", "factor", "start_factor", "end_factor"), bounds(0, 10)),
    **dict.fromkeys(("T_max", "T_0", "T_mult", "step_size", "total_iters", "total_steps", "max_iter"), STEPS),
    "milestones": bounds(0, 10**9, "steps", whole=True),
}


def refuse_wrong_numbers(optimizer: Any, scheduler: Any) -> None:
    """Before anything is built: both blocks are used only when training starts."""
    refuse_arguments(optimizer, ARGUMENTS, "system.optimizer")
    refuse_arguments(scheduler or {}, ARGUMENTS, "system.scheduler")


def parse_optimizer(config: Any, model: nn.Module) -> Optimizer:
    """`{name, args, params}`: a class of torch.optim; `params` gives modules of the model arguments of their own."""
    block = config_to_primitive(config)
    groups = block.get("params")
    if groups and not (isinstance(groups, Mapping) and all(isinstance(given, Mapping) for given in groups.values())):
        raise UserError(
            f"system.optimizer.params: {groups!r:.60} is no block of modules with a block of arguments each"
        )
    parameters: Any = [_group(model, name, args) for name, args in groups.items()] if groups else model.parameters()
    return _make("system.optimizer", torch.optim, Optimizer, block, parameters)


def parse_scheduler(config: Any, optimizer: Optimizer) -> LRSchedulerConfigType:
    """`{name, interval, args}`: of torch.optim.lr_scheduler; SequentialLR and ChainedScheduler take `schedulers`.

    `interval` is "epoch" (upstream's default) or "step".
    """
    block = config_to_primitive(config)
    interval = block.get("interval", "epoch")
    if interval not in ("epoch", "step"):
        raise UserError(f'system.scheduler.interval: "{interval}"; expected epoch or step')
    return {"scheduler": _scheduler(block, optimizer), "interval": interval}


def _scheduler(block: Mapping[str, Any], optimizer: Optimizer) -> Any:
    given = block.get("schedulers", [])
    if not isinstance(given, list) or not all(isinstance(part, Mapping) for part in given):
        raise UserError(f"system.scheduler.schedulers: {given!r:.60} is no list of schedulers, each a block")
    if block.get("name") in ("SequentialLR", "Sequential") and not isinstance(block.get("milestones"), list):
        raise UserError("system.scheduler.milestones: expected a list of steps, one less than there are schedulers")
    parts = [_scheduler(part, optimizer) for part in given]
    if block.get("name") in ("SequentialLR", "Sequential"):
        return lr_scheduler.SequentialLR(optimizer, parts, milestones=list(block["milestones"]))
    if block.get("name") == "ChainedScheduler":
        return lr_scheduler.ChainedScheduler(parts)
    return _make("system.scheduler", lr_scheduler, lr_scheduler.LRScheduler, block, optimizer)


def _make(path: str, module: Any, base: type, block: Mapping[str, Any], subject: Any) -> Any:
    kinds: dict[str, type[Any]] = {
        name: kind for name, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, base)
    }
    name = str(block.get("name", ""))
    if name not in kinds:
        raise UserError(f'{path}.name: unknown "{name}"; {nearest_name(name, kinds)}')
    try:
        return kinds[name](subject, **block.get("args", {}))
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}.args: {error}") from None


def _group(model: nn.Module, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    part: Any = model
    for step in name.split("."):
        if not hasattr(part, step):
            raise UserError(f'system.optimizer.params: the system has no module "{name}"')
        part = getattr(part, step)
    parameters = list(part.parameters()) if isinstance(part, nn.Module) else [part]
    return {"params": parameters, "name": name, **arguments}
