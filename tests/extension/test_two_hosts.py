"""The extension has to run inside upstream threestudio too, so it may use only what upstream has."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import cascade_zero123.guidance
import pytest
import upstream_stand_in
from PIL import Image
from tiny_zero123 import ball_picture, save_tiny_cascade

import threestudio

EXTENSION = Path(cascade_zero123.guidance.__file__).parent
# Names that upstream threestudio 0.2.3 has, in modules that it has.
UPSTREAM = {
    "threestudio": {"register", "find", "info", "warn", "debug"},
    "threestudio.utils.base": {"BaseObject", "BaseModule", "Updateable"},
    "threestudio.utils.config": {"parse_structured"},
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


def test_under_upstreams_loading_rule_the_guidance_computes_what_it_computes_here(tmp_path):
    save_tiny_cascade(tmp_path)
    picture = tmp_path / "ball.png"
    Image.fromarray((ball_picture() * 255).byte().numpy()).save(picture)
    cfg = {
        "base": {"weights": str(tmp_path / "base")},
        "refiner": {"weights": str(tmp_path / "refiner")},
        "cond_image_path": str(picture),
        "cond_camera_distance": 3.8,
        "prompt_steps": 2,
        "cache_dir": None,
        "max_step_percent": [0, 0.9, 0.5, 100],
    }
    finished = subprocess.run(
        [sys.executable, upstream_stand_in.__file__, str(EXTENSION), json.dumps(cfg)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    there = json.loads(finished.stdout.splitlines()[-1])
    here = upstream_stand_in.step(threestudio.find("cascade-zero123-guidance")(cfg))
    assert "cascade-zero123-guidance" in there["components"]
    assert not {"zero123-guidance", "stable-zero123-guidance", "zero123-system"} & set(there["components"])
    for key in ("loss", "gradient"):
        assert there["step"][key] == pytest.approx(here[key], rel=1e-4, abs=1e-6)
    assert (there["step"]["max_step"], there["step"]["eval"]) == (here["max_step"], here["eval"])
