"""Every test runs with shapes checked (jaxtyping + beartype), seeds fixed and one thread."""

import logging
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

# Before anything imports the packages: the hook instruments what is imported after it.
install_import_hook(["threestudio", "cascade_zero123", "studies"], "shape_checks.check")


@pytest.fixture(scope="session")
def toy_extension(tmp_path_factory):
    """A folder like custom/, with one extension named `toy`; for the whole session, as names are registered once."""
    folder = tmp_path_factory.mktemp("custom")
    shutil.copy(Path(__file__).parent / "toy_extension.py", folder / "toy.py")
    return folder


@pytest.fixture
def workplace(tmp_path, monkeypatch, toy_extension):
    """A folder with the config of `toy_run` and a picture; outputs are made in it."""
    from toy_run import CONFIG

    import launch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "CUSTOM", toy_extension)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    logger = logging.getLogger("threestudio")
    before = logger.handlers, logger.propagate, logger.level
    (tmp_path / "x.yaml").write_text(CONFIG)
    (tmp_path / "cat.png").touch()
    yield tmp_path
    logger.handlers, logger.propagate, logger.level = before


@pytest.fixture(autouse=True)
def fixed_seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_configure(config):
    torch.set_num_threads(1)


def pytest_collection_modifyitems(config, items):
    if "page" not in config.getoption("markexpr"):  # they need a browser: `make test-page`
        items[:] = [item for item in items if "page" not in item.keywords]
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs CUDA"))
