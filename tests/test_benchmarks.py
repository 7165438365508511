"""Benchmarks measure; here only that they run, and what must be exact is."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import torch
from tiny_training import packed_views

ROOT = Path(__file__).parents[1]


def test_the_guidance_benchmark_compares_every_exact_setting_with_the_plain_formula():
    command = [
        sys.executable,
        "benchmarks/guidance.py",
        "--size",
        "small",
        "--batches",
        "1",
        "--repeats",
        "1",
        "--pairs",
        "2",
    ]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert finished.returncode == 0, finished.stderr
    rows = dict(re.findall(r"^batch 1: (.*?)  +\d.* cosine +(\S+)", finished.stdout, re.MULTILINE))
    exact = {name: float(cosine) for name, cosine in rows.items() if not re.search("linear|small|with", name)}
    assert {"plain float32", "and channels-last", "and recomputed encoder gradient"} <= exact.keys()
    assert min(exact.values()) > 0.99
    assert {"and linear encoder gradient", "and small encoder gradient"} <= rows.keys()
    assert re.search(r"^batch 1: 8 prompt views over none +\d\.\d{3}, median of 2 pairs", finished.stdout, re.MULTILINE)


def test_cheaper_gradients_are_compared_with_those_of_a_trained_encoder(tmp_path):
    """A linear kernel is not the Jacobian of a network, but far from nothing."""
    command = [sys.executable, "benchmarks/encoder_gradient.py", packed_views(tmp_path / "views"), "--steps", "2"]
    finished = subprocess.run([*command, "--objects", "2"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    found = re.findall(r"^(\w+): cosine with the exact gradient: residual (\S+), noise (\S+)$", finished.stdout, re.M)
    assert [name for name, _, _ in found] == ["linear", "small"]
    assert all(-1 <= float(value) <= 1 for _, *values in found for value in values)
    assert float(found[0][1]) > 0


def live_tensors(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("memory", "sds_step"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("memory").LiveTensors()


def test_the_memory_benchmark_counts_what_is_alive_at_once(monkeypatch):
    counter = live_tensors(monkeypatch)
    before = torch.zeros(1000, requires_grad=True)
    with counter:
        kept = (before + 1).exp()  # the sum goes at once; exp keeps its result for the gradient
        view = kept.detach().view(10, 100)
        view += 1
    assert (counter.peak, counter.live) == (8000, 4000)
    del kept
    assert counter.live == 4000  # the view holds it
    del view
    assert counter.live == 0


def test_the_memory_benchmark_follows_storages_that_change_their_size(monkeypatch):
    counter, before = live_tensors(monkeypatch), torch.zeros(1000)
    with counter:
        parts = torch.zeros(1000).split(500)  # two views of one storage
        out = torch.empty(0)
        torch.cat([before, *parts], out=out)
        before.resize_(1500)
        assert counter.live == 4000 + 8000 + 2000
        out.untyped_storage().resize_(0)
        out.detach()  # an operation that reads nothing
    assert counter.live == 4000 + 2000
    del parts, out
    assert counter.live == 2000


def test_the_memory_benchmark_reports_every_stage():
    small = ["data.random_camera.height=16", "data.random_camera.width=16", "data.random_camera.batch_size=1"]
    small += ["data.random_camera.resolution_milestones=[]", "data.height=16", "data.width=16"]
    small += ["data.resolution_milestones=[]", "system.renderer.num_samples_per_ray=16"]
    small += ["system.guidance.refiner.weights=load/cascade-zero123-tiny/base"]
    command = [sys.executable, "benchmarks/memory.py", "--config", "configs/cascade-zero123.yaml", "--field-steps", "2"]
    finished = subprocess.run([*command, *small], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    found = re.findall(r"^(.*?): (\S+) GB in all, (\S+) GB held$", finished.stdout, re.MULTILINE)
    assert [name for name, _, _ in found] == ["while prompt views are sampled", "steps 0 and 1", "steps 400 and 401"]
    assert all(float(held) < float(whole) < 2 for _, whole, held in found)
