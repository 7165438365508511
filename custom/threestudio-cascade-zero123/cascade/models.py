"""The models of a cascade in memory: which weights, what they share, and what is on the device when.

The last one, the Refiner, stays; the others are there only while they sample. What one holds like the Refiner is in
memory once: everything where both name the same weights; autoencoder and image encoder, which training leaves as they
are, where one comes from the other.

With `spare_device` only what a step of SDS runs (U-Net, encoder, cc_projection) stays on the device. Image encoder and
decoder wait in the host's memory and visit; the Refiner's U-Net makes room while another model samples.
"""

import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from ..common.errors import UserError
from ..zero123.model import Zero123
from ..zero123.reuse import kept
from ..zero123.weights.loading import announce, load_zero123, weights_files
from .cache import weights_fingerprint

SHAREABLE = ("unet", "vae", "image_encoder", "cc_projection")
HOST = torch.device("cpu")
# What a library writes into a configuration about itself.
NOT_COMPUTED_WITH = ("architectures", "dtype", "torch_dtype", "transformers_version")


@dataclass(frozen=True)
class Choice:
    """The weights of a stage: see `load_zero123`."""

    weights: str
    config: str | None = None
    pose_token: str | None = None

    def is_same_as(self, other: "Choice") -> bool:
        """Whether both name the same weights, so that one copy serves."""
        paths = {os.path.realpath(choice.weights) for choice in (self, other)}
        return len(paths) == 1 and (self.config, self.pose_token) == (other.config, other.pose_token)


@dataclass(frozen=True)
class Residence:
    """How the models are kept."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    compile: bool = False
    spare_device: bool = False


@runtime_checkable
class Models(Protocol):
    """The models of a cascade, in its order; `load` has one on the device for as long as the caller keeps it."""

    def load(self, index: int) -> Zero123:
        """The model of a stage."""
        ...

    def fingerprint(self, index: int) -> str:
        """Tells one model's weights from another's."""
        ...


class CascadeModels:
    """Of at least one choice, in the cascade's order."""

    def __init__(self, choices: Sequence[Choice], residence: Residence) -> None:
        self.choices, self.residence = choices, residence
        self.refiner = self._load(choices[-1])
        self._loaded: list[weakref.ref[Zero123]] = []  # besides the Refiner, as long as somebody keeps them
        if residence.spare_device:
            self.refiner.to(residence.device)
            _move(visitors(self.refiner), HOST)

    def borrowed(self) -> list[Zero123]:
        """The models besides the Refiner that somebody keeps."""
        return [model for model in (reference() for reference in self._loaded) if model is not None]

    @contextmanager
    def visit(self, *parts: str) -> Iterator[None]:
        """Has the Refiner's `image_encoder`, `decoder` or both on the device for as long as the block runs."""
        modules = visitors(self.refiner, *parts) if self.residence.spare_device else []
        try:
            _move(modules, self.residence.device)
            yield
        finally:
            _move(modules, HOST)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """A block in which others may be loaded; the Refiner's decoder and image encoder, perhaps theirs too, visit."""
        with self.visit():
            yield
        self._send_home()
        _move([self.refiner.unet], self.residence.device)

    def load(self, index: int) -> Zero123:
        """On the device, for as long as the caller keeps it."""
        choice = self.choices[index]
        if choice.is_same_as(self.choices[-1]):
            return self.refiner
        self._send_home()
        model = self._load(choice)
        refuse_unlike(choice.weights, model, self.refiner)
        share(model, self.refiner)
        if self.residence.spare_device and model.unet is not self.refiner.unet:
            _move([self.refiner.unet], HOST)
        model.to(self.residence.device)
        self._loaded.append(weakref.ref(model))
        return model

    def fingerprint(self, index: int) -> str:
        """Of everything about a model that decides what it samples."""
        choice = self.choices[index]
        files = weights_fingerprint(weights_files(choice.weights, choice.config))
        return f"{files} {choice.pose_token} {self.residence.dtype}"

    def _send_home(self) -> None:
        """What is not the Refiner's of models that somebody keeps, a batch of pictures say, leaves the device."""
        for model in self.borrowed() if self.residence.spare_device else []:
            parts = [(getattr(model, part), getattr(self.refiner, part)) for part in SHAREABLE]
            _move([own for own, other in parts if own is not other], HOST)

    def _load(self, choice: Choice) -> Zero123:
        where = self.residence

        def load() -> Zero123:
            place = HOST if where.spare_device else where.device
            model = load_zero123(
                choice.weights,
                place,
                where.dtype,
                config=choice.config,
                pose_token=choice.pose_token,
                channels_last=where.channels_last,
            )
            announce(choice.weights, model, choice.config)
            if where.compile:
                _compile([part for part in (model.unet, getattr(model.vae, "encoder", None)) if part is not None])
            return model

        return kept(load, choice.weights, choice, where)


@dataclass(frozen=True)
class LoadedModels:
    """Of a cascade, and in memory anyway."""

    models: Sequence[Zero123]

    def __post_init__(self) -> None:
        for model in self.models[:-1]:
            refuse_unlike("Base", model, self.models[-1])

    def load(self, index: int) -> Zero123:
        """As it is."""
        return self.models[index]

    def fingerprint(self, index: int) -> str:
        """None: what they sample is not to be cached."""
        return ""


class LoadedOnce:
    """The same models, of which each is loaded once at most, and kept as long as this is."""

    def __init__(self, models: Models) -> None:
        self.load, self.fingerprint = cache(models.load), models.fingerprint


def refuse_unlike(name: str, model: Zero123, refiner: Zero123) -> None:
    """Raises UserError where the views of one model are none for the last of the cascade."""
    sizes = model.settings.image_size, refiner.settings.image_size
    if sizes[0] != sizes[1]:
        raise UserError(f"{name} makes {sizes[0]} px views and the Refiner {sizes[1]} px; a cascade needs one size")
    if model.channels != refiner.channels:
        raise UserError(
            f"{name} makes views of {model.channels} channels and the Refiner {refiner.channels}; "
            "all of a cascade see opacity, or none"
        )


def _compile(modules: list[nn.Module]) -> None:
    if not hasattr(nn.Module, "compile"):
        raise UserError(f"guidance.compile: needs torch 2.1 or newer, {torch.__version__} is installed; leave it false")
    for module in modules:
        module.compile()


def share(model: Zero123, refiner: Zero123) -> None:
    """A model's parts that compute what the Refiner's compute become the Refiner's, and its own are freed."""
    for part in SHAREABLE:
        if _alike(getattr(model, part), getattr(refiner, part)):
            setattr(model, part, getattr(refiner, part))


def _alike(one: nn.Module, other: nn.Module) -> bool:
    if type(one) is not type(other) or _configuration(one) != _configuration(other):
        return False
    tensors, others = one.state_dict(), other.state_dict()
    return tensors.keys() == others.keys() and all(
        tensor.dtype == others[key].dtype and torch.equal(tensor, others[key].to(tensor.device))
        for key, tensor in tensors.items()
    )


def _configuration(module: nn.Module) -> dict[str, Any]:
    """What the tensors do not say: numbers of heads, activations, scaling factor."""
    config: Any = getattr(module, "config", {})
    items = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    return {key: value for key, value in items.items() if key[0] != "_" and key not in NOT_COMPUTED_WITH}


def visitors(model: Zero123, *parts: str) -> list[nn.Module]:
    """The modules of these parts, or of all that a step of SDS does not run; a linear autoencoder has no decoder."""
    decoder = [getattr(model.vae, name, None) for name in ("post_quant_conv", "decoder")]
    modules = {"image_encoder": [model.image_encoder], "decoder": [part for part in decoder if part is not None]}
    return [module for part in parts or modules for module in modules[part]]


def _move(modules: list[nn.Module], device: torch.device) -> None:
    for module in modules:
        module.to(device)
