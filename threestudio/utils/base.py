"""What components are: configured by a nested `Config` dataclass, built by `configure`, told of every step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from threestudio.errors import UserError
from threestudio.utils.checkpoint import load_module_weights
from threestudio.utils.config import parse_structured
from threestudio.utils.misc import get_device


class Updateable:
    """Told before and after each batch which step it is; passes it on to its public attributes first."""

    def do_update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        """Tells this part and all those below it which step it is."""
        for part in self._updateable_parts():
            part.do_update_step(epoch, global_step, on_load_weights=on_load_weights)
        self.update_step(epoch, global_step, on_load_weights=on_load_weights)

    def do_update_step_end(self, epoch: int, global_step: int) -> None:
        """Tells this part and all those below it that the step is over."""
        for part in self._updateable_parts():
            part.do_update_step_end(epoch, global_step)
        self.update_step_end(epoch, global_step)

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        """To override. With `on_load_weights`, weights were just loaded and may not be on their device yet."""

    def update_step_end(self, epoch: int, global_step: int) -> None:
        """To override."""

    def _updateable_parts(self) -> Iterator["Updateable"]:
        attributes = {**vars(self), **getattr(self, "_modules", {})}
        for name, value in attributes.items():
            if not name.startswith("_") and isinstance(value, Updateable):
                yield value


def update_if_possible(module: Any, epoch: int, global_step: int) -> None:
    """Where the module listens to steps."""
    if isinstance(module, Updateable):
        module.do_update_step(epoch, global_step)


def update_end_if_possible(module: Any, epoch: int, global_step: int) -> None:
    """Where the module listens to steps."""
    if isinstance(module, Updateable):
        module.do_update_step_end(epoch, global_step)


class BaseObject(Updateable):
    """A component without parameters."""

    @dataclass
    class Config:
        pass

    cfg: Config

    def __init__(self, cfg: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.cfg = parse_structured(self.Config, cfg)
        self.device = get_device()
        self.configure(*args, **kwargs)

    def configure(self, *args: Any, **kwargs: Any) -> None:
        """To override: builds the component from `self.cfg` and the other components that it is given."""


class BaseModule(nn.Module, Updateable):
    """A component with parameters; `weights: "path:module"` takes them from that module of a checkpoint."""

    @dataclass
    class Config:
        weights: str | None = None

    cfg: Config

    def __init__(self, cfg: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.cfg = parse_structured(self.Config, cfg)
        self.device = get_device()
        self.configure(*args, **kwargs)
        if self.cfg.weights is not None:
            self._load(self.cfg.weights)
        # Upstream's modules read the current device from it.
        self.register_buffer("_dummy", torch.zeros(0), persistent=False)

    def configure(self, *args: Any, **kwargs: Any) -> None:
        """To override, as in `BaseObject`."""

    def _load(self, weights: str) -> None:
        path, colon, module_name = weights.rpartition(":")
        if not colon:
            raise UserError(f'weights "{weights}": expected path/to/checkpoint:module_name')
        state, epoch, global_step = load_module_weights(path, module_name=module_name)
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(f"{path}: {module_name} does not fit: {' '.join(str(error).split())}") from None
        self.do_update_step(epoch, global_step, on_load_weights=True)
