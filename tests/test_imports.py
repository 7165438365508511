"""What an import costs, and that all of them, also those inside functions and scripts, name something that is there."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
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


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def names_in(code: ast.AST) -> set[str]:
    """What a module, or a statement of it, makes that may be asked for."""
    names = set()
    for part in ast.walk(code):
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
            for part in ast.walk(tree(file)):
                if not isinstance(part, ast.ImportFrom) or part.level or part.module is None:
                    continue
                if part.module.split(".")[0] in PACKAGES:
                    assert part.module in known, f"{file}:{part.lineno}: no module {part.module}"
                    there = names_in(tree(known[part.module]))
                    for alias in part.names:
                        found = alias.name in there or f"{part.module}.{alias.name}" in known
                        assert found, f"{file}:{part.lineno}: {part.module} has no {alias.name}"


def test_nothing_that_makes_a_mesh_imports_what_measures_it():
    for name, file in modules().items():
        for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(part, ast.ImportFrom) and not name.startswith("studies"):
                assert not (part.module or "").startswith("studies"), f"{file}:{part.lineno}"


def loaded(statement: str) -> set[str]:
    command = [sys.executable, "-c", LOADED.format(statement)]
    return set(json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout))


def test_the_cameras_load_nothing_but_torch_and_its_shapes():
    own = loaded("import threestudio.cameras, threestudio.views") - loaded("import torch, jaxtyping, difflib, logging")
    assert own == {"threestudio"}


def test_components_are_there_when_one_is_asked_for():
    asked = "import threestudio; threestudio.find('implicit-volume')"
    assert "pytorch_lightning" in loaded(asked) and "pytorch_lightning" not in loaded("import threestudio")


def test_a_picture_is_looked_at_before_what_takes_seconds_to_load():
    config, picture = ROOT / "configs/cascade-zero123.yaml", ROOT / "load/images/cat.png"
    look = f"import launch; assert launch.early_elevation({str(config)!r}, ['data.image_path={picture}'])"
    assert not loaded(look) & {"pytorch_lightning", "lightning_fabric", "diffusers", "transformers"}


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that an import runs, in order; what type checkers alone read is left out."""
    for statement in body:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            continue
        if isinstance(statement, (ast.If, ast.Try)):
            yield from at_import(statement.body + statement.orelse)
        else:
            yield statement


def run_import(name: str, bodies: dict[str, list[ast.stmt]], made: dict[str, set[str]]) -> None:
    """As Python would: parents first, then the statements one by one; a name must be made before it is asked for."""
    if name in made or name not in bodies:
        return
    run_import(name.rpartition(".")[0], bodies, made)
    made[name] = set()
    for statement in bodies[name]:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                run_import(alias.name, bodies, made)
        elif isinstance(statement, ast.ImportFrom) and statement.module in bodies:
            run_import(statement.module, bodies, made)
            for alias in statement.names:
                run_import(f"{statement.module}.{alias.name}", bodies, made)
                there = alias.name in made[statement.module] or f"{statement.module}.{alias.name}" in bodies
                assert there, f"{name}:{statement.lineno}: {statement.module} has no {alias.name} yet"
        made[name] |= names_in(statement)


def test_any_module_may_be_the_first_one_that_is_imported():
    """None leans on what another one happened to import before it."""
    bodies = {name: list(at_import(tree(file).body)) for name, file in modules().items()}
    for name in bodies:
        run_import(name, bodies, {})
