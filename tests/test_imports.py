"""What an import costs: the conventions of cameras are a page of formulas, and load no more than they need."""

import json
import subprocess
import sys

LOADED = "import json, sys; {}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"


def loaded(statement: str) -> set[str]:
    command = [sys.executable, "-c", LOADED.format(statement)]
    return set(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def test_the_cameras_load_nothing_but_torch_and_its_shapes():
    own = loaded("import threestudio.cameras, threestudio.views") - loaded("import torch, jaxtyping, difflib, logging")
    assert own == {"threestudio"}


def test_components_are_there_when_one_is_asked_for():
    asked = "import threestudio; threestudio.find('implicit-volume')"
    assert "pytorch_lightning" in loaded(asked) and "pytorch_lightning" not in loaded("import threestudio")
