"""Every setting decides something: a field that no line reads is one that a user sets in vain."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREES = [
    ast.parse(file.read_text(encoding="utf-8"))
    for folder in ("threestudio", "custom/threestudio-cascade-zero123")
    for file in (ROOT / folder).rglob("*.py")
]
# Keys of upstream's YAML files that have nothing to decide here; without the field such a file would be refused.
UPSTREAMS = {
    *("geometry_convert_inherit_texture", "geometry_convert_override", "prompt_processor_type"),
    *("prompt", "negative_prompt", "context_type", "estimator", "interpolation", "eval_batch_size"),
    *("proposal_network_config", "prop_optimizer_config", "prop_scheduler_config"),
    *("num_samples_per_ray_proposal", "num_samples_per_ray_importance"),
}


def fields() -> Iterator[str]:
    for tree in TREES:
        for part in ast.walk(tree):
            if isinstance(part, ast.ClassDef) and part.name.endswith(("Config", "Frequencies")):
                lines = [line.target for line in part.body if isinstance(line, ast.AnnAssign)]
                yield from (target.id for target in lines if isinstance(target, ast.Name))


def read() -> tuple[set[str], tuple[str, ...]]:
    """Names of attributes and strings; and what names begin with that are put together, as f"isosurface_{name}"."""
    names, beginnings = set(), set()
    for part in (part for tree in TREES for part in ast.walk(tree)):
        if isinstance(part, ast.Attribute):
            names.add(part.attr)
        elif isinstance(part, ast.JoinedStr) and isinstance(part.values[0], ast.Constant):
            beginnings.add(str(part.values[0].value))
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            names.add(part.value)
    return names, tuple(one for one in beginnings if one.endswith("_") and len(one) > 4)


def test_no_line_of_a_config_is_dead():
    names, beginnings = read()
    dead = {field for field in fields() if field not in names and not field.startswith(beginnings)}
    assert dead <= UPSTREAMS | {"cfg"}, f"no line reads {sorted(dead - UPSTREAMS)}"


def test_what_is_accepted_for_upstream_s_files_alone_is_still_a_field():
    assert set(fields()) >= UPSTREAMS
