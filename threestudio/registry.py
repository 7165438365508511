"""Components by name: YAML says `geometry_type: "implicit-volume"`, a class says `@register("implicit-volume")`."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from threestudio.errors import UserError, nearest_name

Component = TypeVar("Component", bound=type)

# What registers the runtime's own components.
OWN = (
    *(f"threestudio.data.{name}" for name in ("image", "source_picture", "uncond")),
    *(f"threestudio.models.{name}" for name in ("background", "geometry", "materials", "renderers", "exporters")),
    *(f"threestudio.models.{name}" for name in ("guidance", "prompt_processors")),
    "threestudio.systems",
)

modules: dict[str, type[Any]] = {}
withheld: dict[str, str] = {}  # names that would be there, with the reason why they are not


def register(name: str) -> Callable[[Component], Component]:
    """Class decorator; a name belongs to one class."""

    def decorator(component: Component) -> Component:
        taken = modules.get(name)
        if taken is not None:
            raise UserError(
                f'component name "{name}" of {_path(component)} is already taken by {_path(taken)}; rename one of them'
            )
        modules[name] = component
        return component

    return decorator


def withhold(names: Iterable[str], reason: str) -> None:
    """Whoever asks for one of them is told the reason."""
    withheld.update(dict.fromkeys(names, reason))


def load_components() -> None:
    """The runtime's own; once."""
    for name in OWN:
        importlib.import_module(name)


def find(name: str) -> type[Any]:
    """The class registered as `name`; "main:mixin,mixin" puts the mixins before `main` in the bases of a new class."""
    main, colon, mixins = name.partition(":")
    if not colon:
        return _component(name)
    bases = [*mixins.split(","), main]
    return type(f"{main}.{mixins}", tuple(_component(base) for base in bases), {})


def _component(name: str) -> type[Any]:
    if name not in modules:
        load_components()
    if name in modules:
        return modules[name]
    if name in withheld:
        raise UserError(f'no component "{name}"; {withheld[name]}')
    raise UserError(f'no component "{name}"; ' + nearest_name(name, modules, quote='"'))


def _path(component: type) -> str:
    return f"{component.__module__}.{component.__qualname__}"
