"""Base-0123 and Refiner-0123 in memory: which weights, what the two share, and what is on the device when.

The Refiner stays; Base is there only while it samples. What both hold alike is in memory once: everything where both
name the same weights; autoencoder and image encoder, which training leaves as they are, where one comes from the other.

With `spare_device` only what a step of SDS runs (U-Net, encoder, cc_projection) stays on the device. Image encoder and
decoder wait in the host's memory and visit; the Refiner's U-Net makes room while another Base samples.
"""

import dataclasses
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .cascade.cache import weights_fingerprint
from .errors import UserError
from .zero123.kept import kept
from .zero123.model import Zero123
from .zero123.weights import announce, load_zero123, weights_files

SHAREABLE = ("unet", "vae", "image_encoder", "cc_projection")
HOST = torch.device("cpu")
# What a library writes into a configuration about itself.
NOT_COMPUTED_WITH = ("architectures", "dtype", "torch_dtype", "transformers_version")


@dataclass(frozen=True)
class Choice:
    """An entry `guidance.base` or `guidance.refiner`: see `load_zero123`."""

    weights: str
    config: str | None = None
    pose_token: str | None = None

    def is_same_as(self, other: "Choice") -> bool:
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


def chosen(
    base: Mapping[str, Any],
    refiner: Mapping[str, Any],
    upstream_path: str = "",
    upstream_config: str = "",
    block: str = "guidance",
) -> tuple[Choice, Choice]:
    """Base and Refiner; the latter defaults to the former. `upstream_path` is upstream's name of base.weights.

    `block` is where the user wrote them.
    """
    keys = [field.name for field in dataclasses.fields(Choice)]
    for name, given in (("base", base), ("refiner", refiner)):
        for key in given:
            if key not in keys:
                raise UserError(f"{block}.{name}.{key}: unknown key; known are {', '.join(keys)}")
            if not isinstance(given[key], (str, int, type(None))):
                raise UserError(f"{block}.{name}.{key}: {given[key]} is not a name")
    # A name of digits, as 105000, is a number to YAML.
    base = {key: str(value) for key, value in base.items() if value}
    refiner = {key: str(value) for key, value in refiner.items() if value}
    if "weights" not in base and upstream_path:
        # Upstream names an LDM YAML with every model; a folder has its own configuration.
        config = upstream_config if os.path.isfile(upstream_path) else None
        base = {"weights": upstream_path, "config": config} | base
    if "weights" not in base:
        raise UserError(f"{block}.base.weights must be given: Zero-1-to-3 weights, a folder or a checkpoint")
    first = Choice(**base)
    return first, Choice(**refiner) if "weights" in refiner else dataclasses.replace(first, **refiner)


class ModelPair:
    def __init__(self, base: Choice, refiner: Choice, residence: Residence) -> None:
        self.base, self.residence = base, residence
        self.one_model = base.is_same_as(refiner)
        self.refiner = self._load(refiner)
        self.sampler: Callable[[], Zero123 | None] = lambda: None  # a Base of its own, as long as somebody keeps it
        if residence.spare_device:
            self.refiner.to(residence.device)
            _move(visitors(self.refiner), HOST)

    @contextmanager
    def visit(self, *parts: str) -> Iterator[None]:
        """Has the Refiner's `image_encoder`, `decoder` or both on the device for as long as the block runs."""
        modules = visitors(self.refiner, *parts) if self.residence.spare_device else []
        try:
            yield _move(modules, self.residence.device)
        finally:
            _move(modules, HOST)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """A block in which Base may be loaded; the Refiner's decoder and image encoder, perhaps Base's too, visit."""
        with self.visit():
            yield
        sampler = self.sampler()
        if sampler is not None and self.residence.spare_device:
            parts = [(getattr(sampler, part), getattr(self.refiner, part)) for part in SHAREABLE]
            _move([own for own, other in parts if own is not other], HOST)
        _move([self.refiner.unet], self.residence.device)

    def load_base(self) -> Zero123:
        """On the device, for as long as the caller keeps it."""
        if self.one_model:
            return self.refiner
        base = self._load(self.base)
        sizes = base.settings.image_size, self.refiner.settings.image_size
        if sizes[0] != sizes[1]:
            raise UserError(
                f"{self.base.weights} makes {sizes[0]} px views and the Refiner {sizes[1]} px; a cascade needs one size"
            )
        if base.channels != self.refiner.channels:
            raise UserError(
                f"{self.base.weights} makes views of {base.channels} channels and the Refiner {self.refiner.channels}; "
                "both of a cascade see opacity, or none"
            )
        share(base, self.refiner)
        if self.residence.spare_device and base.unet is not self.refiner.unet:
            _move([self.refiner.unet], HOST)
        base.to(self.residence.device)
        self.sampler = weakref.ref(base)
        return base

    def base_fingerprint(self) -> str:
        """Of everything about Base that decides what it samples."""
        files = weights_fingerprint(weights_files(self.base.weights, self.base.config))
        return f"{files} {self.base.pose_token} {self.residence.dtype}"

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


def _compile(modules: list[nn.Module]) -> None:
    if not hasattr(nn.Module, "compile"):
        raise UserError(f"guidance.compile: needs torch 2.1 or newer, {torch.__version__} is installed; leave it false")
    for module in modules:
        module.compile()


def share(base: Zero123, refiner: Zero123) -> None:
    """Base's parts that compute what the Refiner's compute become the Refiner's, and its own are freed."""
    for part in SHAREABLE:
        if _alike(getattr(base, part), getattr(refiner, part)):
            setattr(base, part, getattr(refiner, part))


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
