"""The server under load, on loopback: 200 requests of state a second beside a job at work, 50 jobs in the queue.

    python benchmarks/server.py [--rate 200] [--seconds 20] [--jobs 50]

The runs are pretended (tests/web/pretend_run.py), the one at work keeps a core busy as a real one does. Prints how
many requests were answered, how fast, and whether every job came to its end; exit code 1 where one did not.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SERVER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import torch, uvicorn
from web.studio_stand_ins import pretended
from threestudio.web.application import make_application
torch.set_num_threads(1)
studio = pretended(Path(sys.argv[1]), most_waiting=1000).start()
uvicorn.run(make_application(studio, page=False), port=int(sys.argv[2]), log_level="warning")
"""
BUSY = "import torch; torch.set_num_threads(1); a = torch.rand(500, 500)\nwhile True: a = (a @ a).tanh()"
LANES = 16  # connections
PICTURE = ROOT / "load" / "images" / "cat.png"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second [200]")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--jobs", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        address, server = served(Path(folder))
        busy = subprocess.Popen([sys.executable, "-c", BUSY])  # what a real run takes of the machine
        try:
            return measured(address, options)
        finally:
            for process in (busy, server):
                process.terminate()
                process.wait()


def served(folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = [str(ROOT / "tests"), str(ROOT)]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), str(port), *paths])
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{address}/jobs")
            return address, server
        except httpx.HTTPError:
            time.sleep(0.2)


def measured(address: str, options: argparse.Namespace) -> int:
    content = PICTURE.read_bytes()
    first = post(address, content, 100_000)  # at work for as long as requests are counted
    others = [post(address, content, 3) for _ in range(options.jobs)]
    found = requested(address, [first, *others], options.rate, options.seconds)
    httpx.delete(f"{address}/jobs/{first}")
    states = ended(address, others)
    waits = np.array([wait for _, wait in found]) * 1000
    codes = Counter(code for code, _ in found)
    print(f"{len(found) / options.seconds:.0f} requests a second for {options.seconds:.0f} s: {dict(codes)}")
    print(f"answered in {np.median(waits):.1f} ms (median), {np.percentile(waits, 99):.1f} ms (99 %)")
    print(f"{len(others)} jobs were in the queue; now {dict(Counter(states))}")
    return 0 if set(codes) == {200} and set(states) == {"done"} else 1


def post(address: str, content: bytes, steps: int) -> str:
    settings = {"set": [f"trainer.max_steps={steps}", "data.default_elevation_deg=10"]}
    answer = httpx.post(f"{address}/jobs", files={"picture": ("cat.png", content)}, data=settings, timeout=60)
    answer.raise_for_status()
    return answer.json()["id"]


def requested(address: str, jobs: list[str], rate: float, seconds: float) -> list[tuple[int, float]]:
    """Code and seconds of each, sent when it is due and not when the one before is answered."""
    found: list[tuple[int, float]] = []
    start, count = time.perf_counter(), int(rate * seconds)

    def lane(number: int) -> None:
        with httpx.Client(base_url=address, timeout=30) as client:
            for turn in range(number, count, LANES):
                due = start + turn / rate
                time.sleep(max(0.0, due - time.perf_counter()))
                code = client.get(f"/jobs/{jobs[turn % len(jobs)]}").status_code
                found.append((code, time.perf_counter() - due))

    lanes = [threading.Thread(target=lane, args=(number,)) for number in range(LANES)]
    for one in lanes:
        one.start()
    for one in lanes:
        one.join()
    return found


def ended(address: str, jobs: list[str]) -> list[str]:
    while True:
        states = [httpx.get(f"{address}/jobs/{job}", timeout=30).json()["state"] for job in jobs]
        if not {"waiting", "running"} & set(states):
            return states
        time.sleep(1.0)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(main())
