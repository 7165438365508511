"""Which values a config field takes, declared where the field is, and checked for all fields by `parse_structured`.

    radius: float = within(1.0, 0.001, 1000, "world units")        a number; both bounds are allowed values
    threshold: float | str = within("auto", 0, 1e6, words=("auto",))
    fovy: tuple[float, float] = within((40, 70), 1, 170, "degrees", rising=True)
    lambda_sds: Any = within(0.1, 0, 1e8, schedule=True)            a number or a schedule (schedules.py)
    precision: str = one_of("fp32", "fp16", "bf16", "auto")

In a list or a block each number has to be within the bounds. The declaration is plain metadata of the dataclass field
(`range`, `unit`, `words` and what else `bounds` takes), so that an extension, which runs under upstream too, writes its
own. A number without a declaration has to be finite.
"""

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from threestudio.errors import UserError, nearest_name
from threestudio.utils.schedules import knots

Declaration = Mapping[str, Any]
TOO_LARGE = "is too large"
LARGEST = 2**63  # whole numbers beyond fit into nothing that is computed with


def within(default: Any, least: float, most: float, unit: str = "", **more: Any) -> Any:
    """A field whose numbers lie in [least, most]; `more` as `bounds` takes it."""
    return _field(default, bounds(least, most, unit, **more))


def bounds(
    least: float,
    most: float,
    unit: str = "",
    *,
    words: Sequence[str] = (),
    text: bool = False,
    schedule: bool = False,
    rising: bool = False,
    whole: bool = False,
) -> Declaration:
    """A declaration by itself, for blocks that are another library's arguments (`refusals_by_name`).

    `words` may stand for a number, or any `text`; a number may be a `schedule`; a pair has to be `rising`; numbers are
    `whole`, where no type says so.
    """
    declared = {"words": tuple(words), "text": text, "schedule": schedule, "rising": rising, "whole": whole}
    return {"range": (least, most), "unit": unit} | {name: value for name, value in declared.items() if value}


def one_of(default: str | None, *others: str) -> Any:
    """A field that takes these words, the default first; None as a default stands for itself."""
    return _field(default, {"words": tuple(word for word in (default, *others) if word is not None)})


def _field(default: Any, metadata: Mapping[str, Any]) -> Any:
    if isinstance(default, (list, dict, set)):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def refusals(fields: type, values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """The full keys whose values are not what their fields declare, each with what is wrong."""
    for declared in dataclasses.fields(fields):
        key = f"{path}.{declared.name}".lstrip(".")
        value = values[declared.name]
        if dataclasses.is_dataclass(declared.type) and isinstance(value, Mapping):
            yield from refusals(declared.type, value, key)  # type: ignore[arg-type]
        elif declared.metadata or not isinstance(value, Mapping):  # a block without is parsed by whom it belongs to
            yield from refusals_of(value, declared.metadata, key)


def huge_numbers(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Of `refusals` those that no type could take, not even to say that it does not fit."""
    return ((key, problem) for key, problem in refusals_by_name(values, {}, path) if problem.endswith(TOO_LARGE))


def refusals_by_name(value: Any, declared: Mapping[str, Declaration], path: str) -> Iterator[tuple[str, str]]:
    """As `refusals`, of a block of arguments by their names, however deep they lie in it."""
    for name, part in value.items():
        key = f"{path}.{name}".lstrip(".")
        if isinstance(part, Mapping):
            yield from refusals_by_name(part, declared, key)
        else:
            yield from refusals_of(part, declared.get(name, {}), key)


def refusals_of(value: Any, declared: Declaration, key: str) -> Iterator[tuple[str, str]]:
    """As `refusals`, of one value with everything in it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            if declared.get("schedule") and isinstance(part, Mapping):
                yield f"{key}.{name}", f"{dict(part)} is neither a number nor a schedule"
            else:
                yield from refusals_of(part, declared, f"{key}.{name}")
    elif isinstance(value, (list, tuple)):
        yield from _of_list(value, declared, key)
    elif (problem := _problem(value, declared)) is not None:
        yield key, problem


def _of_list(value: Sequence[Any], declared: Declaration, key: str) -> Iterator[tuple[str, str]]:
    if declared.get("schedule"):
        try:
            heights = [height for _, height in knots(value)]
        except UserError as error:
            yield key, str(error)
            return
        yield from refusals_of(heights, {**declared, "schedule": False}, key)
        return
    found = [refusal for part in value for refusal in refusals_of(part, declared, key)]
    yield from found
    if declared.get("rising") and not found and len(value) == 2 and value[0] > value[1]:
        yield key, f"{list(value)} does not rise; give the lower bound first"


def _problem(value: Any, declared: Declaration) -> str | None:
    """Of a number, a word or nothing."""
    if isinstance(value, str):
        return _problem_of_word(value, declared)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if abs(value) >= LARGEST and isinstance(value, int):
        return f"a number of {int(math.log10(abs(value))) + 1} digits {TOO_LARGE}"
    if "range" not in declared:
        return None if math.isfinite(value) else f"{value} is not a finite number"
    least, most = declared["range"]
    if not least <= value <= most:
        unit = f" {declared['unit']}" if declared.get("unit") else ""
        return f"{value} is not within {least:.12g} and {most:.12g}{unit}"
    return f"{value} is not a whole number" if declared.get("whole") and value != int(value) else None


def _problem_of_word(value: str, declared: Declaration) -> str | None:
    words = declared.get("words", ())
    if value in words or declared.get("text") or not ("range" in declared or words):
        return None
    if "range" not in declared:
        return f'"{value}" is unknown; {nearest_name(value, words)}'
    expected = "one within {:.12g} and {:.12g}".format(*declared["range"])
    return f'"{value}" is not a number; expected {expected}' + (f", or one of {', '.join(words)}" if words else "")
