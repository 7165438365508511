"""What an import costs, and that all of them, also those inside functions and scripts, name something that is there."""

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "threestudio": "threestudio",
    "cascade_zero123": "custom/threestudio-cascade-zero123",
    "studies": "studies",
}

LOADED = "import json, sys; {}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"


def modules() -> dict[str, Path]:
    """By their names."""
    found = {}
    for name, folder in PACKAGES.items():
        for file in (ROOT / folder).rglob("*.py"):
            parts = [name, *file.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def names_in(file: Path) -> set[str]:
    """What a module may be asked for."""
    names = set()
    for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(part.name)
        elif isinstance(part, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in part.names}
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
    return names


def test_every_import_of_our_own_names_what_is_there():
    known = modules()
    for folder in (*PACKAGES.values(), "scripts", "tests", "benchmarks", "."):
        for file in (ROOT / folder).glob("*.py" if folder == "." else "**/*.py"):
            for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(part, ast.ImportFrom) or part.level or part.module is None:
                    continue
                if part.module.split(".")[0] in PACKAGES:
                    assert part.module in known, f"{file}:{part.lineno}: no module {part.module}"
                    there = names_in(known[part.module])
                    for alias in part.names:
                        found = alias.name in there or f"{part.module}.{alias.name}" in known
                        assert found, f"{file}:{part.lineno}: {part.module} has no {alias.name}"


def loaded(statement: str) -> set[str]:
    command = [sys.executable, "-c", LOADED.format(statement)]
    return set(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def test_the_cameras_load_nothing_but_torch_and_its_shapes():
    own = loaded("import threestudio.cameras, threestudio.views") - loaded("import torch, jaxtyping, difflib, logging")
    assert own == {"threestudio"}


def test_components_are_there_when_one_is_asked_for():
    asked = "import threestudio; threestudio.find('implicit-volume')"
    assert "pytorch_lightning" in loaded(asked) and "pytorch_lightning" not in loaded("import threestudio")
