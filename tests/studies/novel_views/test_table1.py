import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_zero123 import save_tiny_cascade

from studies.novel_views.command import main as evaluate_main
from threestudio.cameras import orbit


@pytest.fixture
def rendered(tmp_path):
    """Six objects in the layout of scripts/render_views.py, of which one lies a folder deeper."""
    folder = tmp_path / "rendered"
    for name in ("a", "b", "c", "d", "e", "deeper/f"):
        (folder / name).mkdir(parents=True)
        angles = torch.rand(2, 4) * 60
        cameras = torch.linalg.inv(orbit(*angles, torch.full((4,), 3.8)))[:, :3]
        for view, camera in enumerate(cameras):
            np.save(folder / name / f"{view:03d}.npy", camera.numpy())
            pixels = np.random.default_rng(view).integers(0, 255, (20, 20, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{view:03d}.png")
    return folder


@pytest.fixture
def table1(rendered, tmp_path, monkeypatch):
    weights = str(save_tiny_cascade(tmp_path))

    def table1(*options: str, out: str = "table1"):
        arguments = ["table1", str(rendered), "--weights", weights, "--steps", "1", "--prompt-steps", "1"]
        code = evaluate_main([*arguments, "--out", str(tmp_path / out), *options])
        if code:
            return code
        return (tmp_path / f"{out}.md").read_text(), json.loads((tmp_path / f"{out}.json").read_text())

    return table1


def test_table_1_has_the_paper_s_rows_and_the_means_of_the_published_scores(table1):
    text, record = table1("--objects", "4", "--targets", "2")
    rows = {row.split("|")[1].strip(): row.split("|")[2:-1] for row in text.splitlines() if row.startswith("|")}
    assert [name for name in rows if name.endswith("(the paper's number)")]
    assert rows["Cascade-Zero123 (the paper's number)"][0].strip() == "21.42"
    for method in ("Zero-1-to-3 (Base alone)", "Cascade-Zero123"):
        mean = np.mean([one["scores"][method]["PSNR"] for one in record["objects"]])
        assert float(rows[f"{method} (measured here)"][0].split()[0]) == pytest.approx(mean, abs=0.006)
    columns = [cell.strip() for cell in rows["novel views"]]
    clip = rows["Cascade-Zero123 (measured here)"][columns.index("CLIP ↑")].strip()
    assert clip == "n/a" and "CLIP n/a: the model's image encoder (1 layers of width 8) is not CLIP" in text
    assert "LPIPS ↓" in columns and "4 objects" in text
    assert "ST-LPIPS n/a: it needs pictures of at least 21 px, these have 16." in text


def test_table_1_draws_the_same_objects_from_the_same_seed_and_publishes_them(table1):
    drawn = [table1("--objects", "3", "--seed", seed, out=f"table{n}")[1] for n, seed in enumerate("001")]
    ids = [[(one["id"], one["index"], one["targets"]) for one in record["objects"]] for record in drawn]
    assert ids[0] == ids[1] != ids[2]
    assert all(id == ["a", "b", "c", "d", "deeper/f", "e"][index] and 0 not in targets for id, index, targets in ids[0])
    assert drawn[0]["objects"] == drawn[1]["objects"], "scores of the same run differ"


def test_table_1_s_baseline_and_cascade_are_scored_against_the_target_views(table1, rendered):
    """A picture that is the truth itself would score 100 dB; here the truth is made white, which both must be told."""
    white = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    _, before = table1("--objects", "1", out="before")
    for view in before["objects"][0]["targets"]:
        white.save(rendered / before["objects"][0]["id"] / f"{view:03d}.png")
    _, after = table1("--objects", "1", out="after")
    for method, scores in after["objects"][0]["scores"].items():
        assert scores["PSNR"] != before["objects"][0]["scores"][method]["PSNR"]


@pytest.mark.parametrize("targets, message", [("9", "4 views; 10 are needed"), ("1", "no object in it")])
def test_table_1_refuses_what_it_cannot_measure_in_one_line(table1, rendered, capsys, targets, message):
    if message.startswith("no object"):
        for file in rendered.rglob("000.npy"):
            file.unlink()
    assert table1("--targets", targets) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and str(rendered) in line
