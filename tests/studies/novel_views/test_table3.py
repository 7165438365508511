"""`evaluate.py novel-views` and `consistency`, with models of random weights."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch
from tiny_zero123 import SIZE, save_tiny_cascade, tiny_model

from studies.novel_views.command import main as evaluate_main
from studies.rendering.command import main as render_views_main
from threestudio.cameras import orbit

COUNT, VIEWS = 3, 8


@pytest.fixture
def packed(tmp_path):
    """In the cascade layout: views 1 to 3 stand where the nearby views stand."""
    elevation, azimuth = torch.rand(COUNT, VIEWS) * 20, torch.rand(COUNT, VIEWS) * 360
    for view, (turn, rise) in enumerate([(45, 0), (-45, 0), (0, 30)], start=1):
        elevation[:, view], azimuth[:, view] = elevation[:, 0] + rise, azimuth[:, 0] + turn
    c2w = orbit(elevation.flatten(), azimuth.flatten(), torch.full((COUNT * VIEWS,), 3.8))
    folder = tmp_path / "views"
    folder.mkdir()
    np.save(folder / "cameras.npy", torch.linalg.inv(c2w)[:, :3].reshape(COUNT, VIEWS, 3, 4).numpy())
    images = np.random.default_rng(0).integers(0, 255, (COUNT, VIEWS, SIZE, SIZE, 4), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny_cascade(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def evaluated(packed, weights, tmp_path):
    def evaluated(*options: str, command: str = "novel-views", out: str = "out"):
        arguments = [command, str(packed), "--model", f"tiny={weights}", "--steps", "2", "--prompt-steps", "1"]
        code = evaluate_main([*arguments, "--out", str(tmp_path / out), *options])
        if code:
            return code
        return json.loads((tmp_path / out / f"{command.replace('-', '_')}.json").read_text())

    return evaluated


def by_row(record):
    return {(row["model"], row["method"], row["kind"]): row for row in record["rows"]}


def kept_files(folder):
    return sorted((folder / "scores").iterdir())


def held_out(packed, numbers):
    from studies.novel_views.held_out import HeldOut

    return HeldOut(packed, 0).batch(numbers)


def test_a_model_that_sees_opacity_is_shown_it_and_scored_by_its_colours(packed, tmp_path):
    weights = save_tiny_cascade(tmp_path / "rgba", channels=4)
    arguments = ["novel-views", str(packed), "--steps", "2", "--prompt-steps", "1", "--pictures", "2"]
    arguments += ["--model", f"rgba={weights}", "--model", f"rgb={save_tiny_cascade(tmp_path / 'rgb')}"]
    assert evaluate_main([*arguments, "--out", str(tmp_path / "out")]) == 0
    record = by_row(json.loads((tmp_path / "out/novel_views.json").read_text()))
    assert {model for model, *_ in record} == {"", "rgba", "rgb"}
    batch = held_out(packed, [0, 1])
    assert batch.source.pictures.shape[2] == 4 and batch.seen_by(tiny_model()).nearby.pictures.shape[2] == 3


def refiner_rows(offsets=((45.0, 0.0), (-45.0, 0.0), (0.0, 30.0)), coarse=True):
    from cascade_zero123.cascade.stages import Sampling

    from studies.novel_views.methods import RefinerRows, Samplings

    samplings = Samplings(Sampling(2, 1.5, 0), Sampling(1, 1.0, 0))
    return RefinerRows(tiny_model(seed=0), tiny_model(seed=1), samplings, offsets, coarse)


def test_every_row_is_there_in_both_kinds_with_its_interval_and_its_difference_to_both_bases(evaluated, weights):
    record = evaluated("--longer-base", str(weights / "base"))
    rows = by_row(record)
    methods = [
        *("Source copied", "Base, trained for longer", "Base", "Mean of four Base samples", "Refiner, source alone"),
        *("Refiner, prompts", "Refiner, prompts and coarse target", "Refiner, true nearby views (oracle)"),
    ]
    assert [method for _, method, kind in rows if kind == "sample"] == methods
    assert sorted(method for _, method, kind in rows if kind == "one step") == sorted(methods)
    for row in rows.values():
        for numbers in (row["mean"], row["minus Base of tiny"], row["minus longer Base"]):
            assert set(numbers) == {"PSNR", "SSIM"}
            assert all(one["low"] <= one["mean"] <= one["high"] for one in numbers.values())
    assert record["objects"] == COUNT


def test_a_difference_is_the_mean_over_objects_of_one_row_minus_the_other(evaluated):
    rows = by_row(evaluated())
    base, method = (rows["tiny", name, "sample"] for name in ("Base", "Refiner, prompts and coarse target"))
    expected = method["mean"]["PSNR"]["mean"] - base["mean"]["PSNR"]["mean"]
    assert method["minus Base of tiny"]["PSNR"]["mean"] == pytest.approx(expected)
    assert base["minus Base of tiny"]["PSNR"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_the_table_says_what_was_not_measured_and_how_many_objects_there_were(evaluated, tmp_path):
    evaluated("--objects", "50")
    text = (tmp_path / "out" / "novel_views.md").read_text()
    assert "3 objects of" in text and "(50 were asked for; there are no more)" in text
    assert "ST-LPIPS n/a: it needs pictures of at least 21 px, these have 16." in text
    assert "## One DDIM sample" in text and "## One-step prediction" in text


def test_a_rerun_takes_up_what_is_kept_and_ends_as_an_uninterrupted_one(evaluated, tmp_path, monkeypatch):
    whole = evaluated("--batch", "1", out="whole")
    evaluated("--objects", "1")
    for file in kept_files(tmp_path / "out"):
        with open(file, "a") as cut:
            cut.write('{"object": 1, "sco')  # as an interrupted write leaves it
    from studies.novel_views.held_out import HeldOut

    drawn, batch = [], HeldOut.batch
    monkeypatch.setattr(HeldOut, "batch", lambda self, numbers: drawn.extend(numbers) or batch(self, numbers))
    resumed = evaluated()
    assert set(drawn) == {1, 2}, "object 0 was there"
    for name, row in by_row(whole).items():
        for metric, number in row["mean"].items():
            assert by_row(resumed)[name]["mean"][metric]["mean"] == pytest.approx(number["mean"], abs=1e-4)


def test_other_settings_and_other_weights_do_not_take_kept_scores(evaluated, tmp_path):
    evaluated("--objects", "1")
    before = kept_files(tmp_path / "out")
    evaluated("--objects", "1")
    assert kept_files(tmp_path / "out") == before
    evaluated("--objects", "1", "--prompt-steps", "2")
    assert len(kept_files(tmp_path / "out")) == len(before) + 1, "the Refiner's alone depend on the prompts"
    evaluated("--objects", "1", "--longer-base", str(save_tiny_cascade(tmp_path / "other") / "refiner"))
    assert len(kept_files(tmp_path / "out")) == len(before) + 2


def test_a_damaged_file_of_kept_scores_is_named(evaluated, tmp_path, capsys):
    evaluated("--objects", "1")
    file = kept_files(tmp_path / "out")[0]
    file.write_text("not JSON\n" + file.read_text())
    assert evaluated() == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "damaged" in one]
    assert str(file) in line and "remove it" in line


def test_an_object_s_views_do_not_depend_on_the_batch_that_it_is_in(packed):
    rows = refiner_rows()
    together = rows(held_out(packed, [0, 1, 2]), lambda passes: None)
    alone = rows(held_out(packed, [2]), lambda passes: None)
    for name, images in alone.items():
        assert torch.allclose(images[0], together[name][2], atol=1e-4), name
    assert not torch.allclose(together["Refiner, prompts", "sample"][1], alone["Refiner, prompts", "sample"][0])


def test_the_target_is_neither_the_source_nor_a_nearby_view_and_the_seed_draws_it(packed):
    from studies.novel_views.held_out import HeldOut

    drawn = [[HeldOut(packed, seed).target(number) for number in range(40)] for seed in (0, 0, 1)]
    assert set(drawn[0]) == set(range(4, VIEWS))
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_context_is_that_of_the_cascade_of_one_object(packed):
    """Against the extension's own, object by object (cascade/context.py)."""
    from cascade_zero123.cascade.context import EncodedViews

    from studies.novel_views.methods import FULL

    batch, rows = held_out(packed, [0, 2]), refiner_rows()
    at = batch.target.cameras
    shown = rows.contexts(batch, at, lambda passes: None)[FULL]
    seen = EncodedViews.of(rows.refiner, shown).context(rows.refiner, at)
    for place in range(2):
        expected = EncodedViews.of(rows.refiner, shown[place][None]).context(rows.refiner, at[place][None])
        assert torch.allclose(seen.tokens[place], expected.tokens[0], atol=1e-5)
        assert torch.allclose(seen.concat[place], expected.concat[0], atol=1e-5)
    azimuth = shown.cameras.azimuth_deg[:, -1:]
    assert torch.equal(azimuth, at.azimuth_deg), "the coarse target stands at the target's camera"


def test_the_oracle_is_shown_the_true_nearby_views_from_where_they_were_seen(packed):
    from studies.novel_views.methods import ORACLE

    rows = refiner_rows(offsets=((0.0, 30.0), (45.0, 0.0)))
    batch = held_out(packed, [1]).seen_by(rows.base)
    shown = rows.contexts(batch, batch.target.cameras, lambda passes: None)[ORACLE]
    source, nearby = batch.source.pictures[0, 0], batch.nearby.pictures[0]
    assert torch.equal(shown.pictures[0], torch.stack([source, nearby[2], nearby[0]]))
    moved = (shown.cameras.as_tensor() - batch.source.cameras.as_tensor())[:, 0]
    assert moved[1].tolist() == pytest.approx([0, 0, 45], abs=1e-3)
    assert moved[0].tolist() == pytest.approx([0, 30, 0], abs=1e-3)


@pytest.mark.parametrize("offsets", [None, ((90.0, 0.0), (180.0, 0.0), (270.0, 0.0))])
def test_other_prompt_views_have_no_oracle_and_random_ones_differ_from_object_to_object(packed, offsets):
    from studies.novel_views.held_out import prompt_cameras
    from studies.novel_views.methods import ORACLE, method_rows

    batch = held_out(packed, [0, 1])
    assert ORACLE not in method_rows(offsets, True)
    turned = prompt_cameras(batch, offsets).azimuth_deg - batch.source.cameras.azimuth_deg
    assert torch.allclose(turned[0], turned[1], atol=1e-3) == (offsets is not None)


def test_a_model_without_coarse_target_has_the_prompts_as_its_method(evaluated):
    rows = by_row(evaluated("--without-coarse-target", "tiny", "--prompt-views", "tiny=random", "--objects", "1"))
    assert [name for _, name, kind in rows if kind == "sample"][-2:] == ["Refiner, source alone", "Refiner, prompts"]


def test_a_frozen_cascade_is_one_model_twice(evaluated, weights):
    rows = by_row(evaluated("--model", f"frozen={weights / 'base'}"))
    base, refiner = (rows["frozen", name, "sample"] for name in ("Base", "Refiner, source alone"))
    assert base["mean"] == refiner["mean"] and rows["tiny", "Base", "sample"]["mean"] == base["mean"]


def test_the_progress_is_told_every_pass_of_a_network(packed):
    from studies.novel_views.methods import BaseRows, method_rows

    rows, told, batch = refiner_rows(), [], held_out(packed, [0])
    rows(batch, told.append)
    assert sum(told) == rows.passes(rows.samplings, 3, len(method_rows(rows.offsets_deg, True)))
    told.clear()
    BaseRows(rows.base, rows.samplings.views, 4)(batch, told.append)
    assert sum(told) == BaseRows.passes(rows.samplings.views, 4)


def test_the_pictures_show_every_view_once(evaluated, tmp_path):
    from PIL import Image

    from studies.novel_views import pictures as novel_view_pictures

    evaluated("--objects", "2", "--pictures", "2")
    picture = Image.open(tmp_path / "out" / "novel_views.png")
    pitch, columns = novel_view_pictures.CELL + novel_view_pictures.MARGIN, 2 + 3 + 2 * 4
    assert picture.size == (novel_view_pictures.SIDE + columns * pitch, novel_view_pictures.HEAD + 2 * pitch)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--prompt-views", "tinny=[[45, 0]]"], "no --model of this name; did you mean tiny?"),
        (["--prompt-views", "tiny=45"], "expected"),
        (["--prompt-views", "tiny=[45]"], "is not a list of [azimuth_deg, elevation_deg]"),
        (["--prompt-views", "tiny=[[0, 90]]"], "keep them within -90..90"),
        (["--model", "nowhere"], "expected NAME=FOLDER"),
        (["--model", "tiny=elsewhere"], "a name is given twice"),
        (["--model", "other=/no/such/folder"], "no such folder"),
        (["--objects", "0"], "--objects 0; expected at least 1"),
        (["--steps", "0"], "--steps 0; expected at least 1"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_result(evaluated, tmp_path, capsys, options, message):
    assert evaluated(*options) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out" / "novel_views.json").exists()


def test_views_of_another_size_are_refused(evaluated, packed, capsys):
    np.save(packed / "images.npy", np.zeros((COUNT, VIEWS, 8, 8, 4), np.uint8))
    assert evaluated() == 2
    assert f"makes views of {SIZE} px" in capsys.readouterr().err


def test_consistency_has_base_cascade_and_oracle_in_both_kinds_and_goes_on(evaluated, tmp_path):
    options = ("--views", "4", "--fit-steps", "2", "--objects", "1")
    record = evaluated(*options, command="consistency")
    methods = {"Base", "Refiner, prompts and coarse target", "Refiner, true nearby views (oracle)"}
    assert {(method, kind) for _, method, kind in by_row(record)} == {
        (method, kind) for method in methods for kind in ("sample", "one step")
    }
    for row in record["rows"]:
        assert set(row["mean"]) == {"reprojection PSNR", "sharpness"}
    files = [(file, file.read_bytes()) for file in kept_files(tmp_path / "out")]
    assert evaluated(*options, command="consistency")["rows"] == record["rows"]
    assert [(file, file.read_bytes()) for file in kept_files(tmp_path / "out")] == files
    assert "No true rings" in (tmp_path / "out" / "consistency.md").read_text()


def test_a_ring_starts_at_the_source_and_its_views_have_noise_of_their_own(packed):
    from studies.novel_views.ring_samples import RingSamples, ring_cameras

    rows, batch = refiner_rows(), held_out(packed, [1])
    poses = ring_cameras(batch, 4)
    assert torch.allclose(poses.azimuth_deg - batch.source.cameras.azimuth_deg[0], torch.tensor([0.0, 90, 180, 270]))
    assert torch.equal(poses.elevation_deg, batch.source.cameras.elevation_deg[0].expand(4))
    rings = RingSamples(rows.base, rows.refiner, rows.samplings, rows.offsets_deg, True)
    shown = {(method, kind): ring for method, kind, ring in rings(batch, poses)}
    assert len({tuple(ring.shape) for ring in shown.values()}) == 1
    twice = next(iter(rings(batch, ring_cameras(batch, 1).repeated(2))))[2]
    assert not torch.allclose(twice[0], twice[1])


def ball_ring(colors):
    """Sixteen views [view 3 32 32] of a shaded ball, each in its own colour."""
    axis = (torch.arange(32) + 0.5) / 16 - 1
    inside = (axis[:, None] ** 2 + axis**2) < 0.5
    return torch.where(inside, colors[:, :, None, None], torch.ones(3, 32, 32))


def test_a_field_fits_views_that_agree_better_than_views_that_do_not():
    from studies.metrics import psnr
    from studies.novel_views.ring_field import Ring, reprojected

    count = 4
    angles = torch.arange(count) * 360.0 / count
    ring = Ring(orbit(torch.full((count,), 10.0), angles, torch.full((count,), 3.8)), 20.0)
    agreeing = ball_ring(torch.tensor([[0.8, 0.3, 0.2]]).expand(count, 3))
    disagreeing = agreeing.clone()
    disagreeing[::2] = torch.roll(agreeing[::2], 12, dims=-1)
    quality = [float(psnr(reprojected(views, ring, 60, 0), views).mean()) for views in (agreeing, disagreeing)]
    assert quality[0] > quality[1] + 3
    assert torch.equal(reprojected(agreeing, ring, 3, 0), reprojected(agreeing, ring, 3, 0))


def test_sharpness_is_the_mean_gradient_and_blur_lowers_it():
    from studies.novel_views.consistency import sharpness

    ramp = (torch.arange(8) / 10).expand(1, 3, 8, 8)
    assert sharpness(ramp) == pytest.approx(0.1)
    noise = torch.rand(1, 3, 16, 16)
    assert sharpness(torch.nn.functional.avg_pool2d(noise, 3, 1, 1)) < 0.5 * sharpness(noise)


def test_the_true_ring_is_that_of_the_rendered_objects_and_refused_for_others(tmp_path):
    from studies.novel_views.held_out import HeldOut
    from studies.novel_views.ring_samples import ring_cameras
    from studies.novel_views.true_ring import TrueRings

    arguments = ["--generate", "2", "--split", "test", "--packed", str(tmp_path / "set"), "--layout", "cascade"]
    options = ["--views", "5", "--size", "16", "--workers", "1"]
    assert render_views_main([*arguments, *options]) == 0
    truth, batch = TrueRings(tmp_path / "set"), HeldOut(tmp_path / "set", 0).batch([1])
    c2w = orbit(*ring_cameras(batch, 4).as_tensor())
    ring = truth(1, c2w)
    assert ring.shape == (4, 3, 16, 16)
    assert torch.allclose(ring[0], batch.source.colors[0, 0], atol=0.02), "the ring starts at the source's camera"
    truth.options = Namespace(**truth.given | {"split": "val"})
    assert truth(1, c2w) is None
