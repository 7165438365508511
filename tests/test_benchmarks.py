"""Benchmarks measure; here only that they run, and what must be exact is."""

import re
import subprocess
import sys
from pathlib import Path

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
