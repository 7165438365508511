"""Benchmarks measure; here only that they run, and what must be exact is."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_guidance_benchmark_compares_every_exact_setting_with_the_plain_formula():
    command = [sys.executable, "benchmarks/guidance.py", "--size", "small", "--batches", "1", "--repeats", "1"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert finished.returncode == 0, finished.stderr
    rows = dict(re.findall(r"^batch 1: (.*?)  +\d.* cosine +(\S+)", finished.stdout, re.MULTILINE))
    exact = {name: float(cosine) for name, cosine in rows.items() if not re.search("linear|small|with", name)}
    assert {"plain float32", "and channels-last", "and recomputed encoder gradient"} <= exact.keys()
    assert min(exact.values()) > 0.99
    assert {"and linear encoder gradient", "and small encoder gradient", "with 0 prompt views"} <= rows.keys()
