from argparse import Namespace

import numpy as np
import pytest
import torch
from script_loading import SCRIPTS, load_script
from tiny_zero123 import SIZE, save_tiny_cascade

from threestudio.cameras import orbit

COUNT, VIEWS = 2, 6


@pytest.fixture
def packed(tmp_path):
    angles = torch.rand(2, COUNT * VIEWS) * 60
    cameras = torch.linalg.inv(orbit(*angles, torch.full((COUNT * VIEWS,), 3.8)))[:, :3]
    folder = tmp_path / "views"
    folder.mkdir()
    np.save(folder / "cameras.npy", cameras.reshape(COUNT, VIEWS, 3, 4).numpy())
    images = np.random.default_rng(0).integers(0, 255, (COUNT, VIEWS, SIZE, SIZE, 4), dtype=np.uint8)
    images[1] = 0  # nothing but white
    np.save(folder / "images.npy", images)
    return folder


def test_the_table_has_every_method_with_its_interval(packed, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    settings = {"objects": 5, "steps": 1, "scale": 1.5, "seed": 0}
    out = tmp_path / "table.md"
    load_script("evaluate_novel_views").main(
        Namespace(weights=save_tiny_cascade(tmp_path), views=str(packed), out=out, **settings)
    )
    rows = out.read_text().splitlines()[2:]
    assert capsys.readouterr().out == out.read_text()
    assert len(rows) == 1 + 2 * 5
    name, mean, interval = (cell.strip() for cell in rows[0].strip("|").split("|"))
    low, high = map(float, interval.split(" to "))
    assert name == "source copied" and low < float(mean) < high
    assert high == 100.0  # of the object whose source is its target
    assert any(row.startswith("| Refiner, true views (oracle); 1 steps") for row in rows)
