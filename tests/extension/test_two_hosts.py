"""The extension has to run inside upstream threestudio too, so it may use only what upstream has."""

import ast
from pathlib import Path

import cascade_zero123.guidance

EXTENSION = Path(cascade_zero123.guidance.__file__).parent
# Names that upstream threestudio 0.2.3 has, in modules that it has.
UPSTREAM = {
    "threestudio": {"register", "find", "info", "warn", "debug"},
    "threestudio.utils.base": {"BaseObject", "BaseModule", "Updateable"},
    "threestudio.utils.misc": {"C", "cleanup", "get_device", "get_rank"},
    "threestudio.systems.base": {"BaseSystem", "BaseLift3DSystem"},
    "threestudio.utils.typing": None,  # anything
}


def trees():
    for file in sorted(EXTENSION.rglob("*.py")):
        yield file.relative_to(EXTENSION), ast.parse(file.read_text(encoding="utf-8"))


def test_only_what_upstream_has_is_imported_from_threestudio():
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("threestudio"):
                assert node.module in UPSTREAM, f"{file}:{node.lineno} imports {node.module}"
                known = UPSTREAM[node.module]
                for name in node.names:
                    assert known is None or name.name in known, f"{file}:{node.lineno} imports {name.name}"
            if isinstance(node, ast.Import):
                for name in node.names:
                    assert not name.name.startswith("threestudio."), f"{file}:{node.lineno} imports {name.name}"


def test_only_upstream_s_functions_are_called_on_threestudio():
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "threestudio":
                assert node.attr in UPSTREAM["threestudio"], f"{file}:{node.lineno} uses threestudio.{node.attr}"


def test_the_extension_imports_itself_relatively():
    """Upstream loads it under the folder's name, ours as cascade_zero123."""
    for file, tree in trees():
        for node in ast.walk(tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.split(".")[0] == "cascade_zero123" for name in names), f"{file}:{node.lineno}"
