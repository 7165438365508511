"""Training stops at the first number that is not finite, before anything made of it is saved."""

from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from threestudio.errors import UserError


class StopAtNonFinite(pl.Callback):
    """Looks at each step's loss, then at its gradients, then at the weights that the step has made.

    Of several processes one may see a loss that the others do not; gradients are shared, so there all stop together.
    Half precision with a scaler of the loss skips steps whose gradients overflow by itself: there, only the weights are
    looked at.
    """

    def __init__(self, last_checkpoint: str) -> None:
        self.last_checkpoint = last_checkpoint

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        if trainer.world_size == 1 and not _scales_the_loss(trainer) and not torch.isfinite(loss):
            self.stop(trainer, first_term(trainer.callback_metrics), float(loss))

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        if not _scales_the_loss(trainer):
            gradients = ((name, value.grad) for name, value in _trained(pl_module) if value.grad is not None)
            self.refuse(trainer, "the gradient of", gradients)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        self.refuse(trainer, "the weight", _trained(pl_module))

    def refuse(self, trainer: pl.Trainer, what: str, named: Iterable[tuple[str, Tensor]]) -> None:
        name = first_non_finite(named)
        if name is not None:
            self.stop(trainer, f"{what} {name}", float("nan"))

    def stop(self, trainer: pl.Trainer, what: str, value: float) -> None:
        kept = f"{self.last_checkpoint} is as it was" if trainer.global_step else "nothing was saved"
        found = "is not finite" if value != value else f"is {value}"
        raise UserError(
            f"step {trainer.global_step}: {what} {found}; training stopped, {kept}. Lower the learning rate or the "
            "weight of that term, and look at the data"
        )


def first_term(metrics: dict[str, Tensor]) -> str:
    """The first that the step has logged and that is not finite: terms come before their sum."""
    return next((name for name, value in metrics.items() if not torch.isfinite(value).all()), "the loss")


def first_non_finite(named: Iterable[tuple[str, Tensor]]) -> str | None:
    """One look at the device for all tensors; only if something is wrong, one for each."""
    tensors = [(name, value.detach()) for name, value in named if value.is_floating_point()]
    if not tensors or torch.isfinite(torch.stack([value.float().sum() for _, value in tensors])).all():
        return None
    return next((name for name, value in tensors if not torch.isfinite(value).all()), None)


def _trained(module: pl.LightningModule) -> Iterable[tuple[str, Tensor]]:
    return ((name, value) for name, value in module.named_parameters() if value.requires_grad)


def _scales_the_loss(trainer: pl.Trainer) -> bool:
    return getattr(trainer.precision_plugin, "scaler", None) is not None
