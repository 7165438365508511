"""Time and peak memory of loading Zero-1-to-3 weights, each in a process of its own.

    python benchmarks/loading.py WEIGHTS [WEIGHTS ...] [--dtype float32] [--channels-last] [--config LDM.yaml]
                                 [--repeat 3] [--cold]

Prints for each the best time (wall clock, and CPU time, which other programs disturb less), and the peak of the
process's memory above what it had before, as a multiple of the weights that are kept; then the first one's times over
this one's. `--cold` drops the files from the system's cache before each reading (posix_fadvise). Peaks are read from
Linux's /proc, mapped files included.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def measure(options: argparse.Namespace) -> None:
    """In the child: one line with seconds, bytes kept and the peak above the memory before."""
    from cascade_zero123.zero123.weights.loading import load_zero123

    before = resident("VmRSS")
    start, cpu = time.perf_counter(), time.process_time()
    dtype = getattr(torch, options.dtype)
    model = load_zero123(options.weights[0], dtype=dtype, config=options.config, channels_last=options.channels_last)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    kept = sum(tensor.nbytes for tensor in model.state_dict().values())
    print(f"measured {seconds} {cpu} {kept} {resident('VmHWM') - before}")


def resident(key: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def drop_from_cache(weights: str) -> None:
    path = Path(weights)
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def in_child(weights: str, options: argparse.Namespace) -> tuple[float, float, int, int]:
    if options.cold:
        drop_from_cache(weights)
    command = [sys.executable, __file__, weights, "--child", "--dtype", options.dtype]
    command += ["--channels-last"] if options.channels_last else []
    command += ["--config", options.config] if options.config and Path(weights).is_file() else []
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, cpu, kept, peak = next(line for line in output.splitlines() if line.startswith("measured ")).split()[1:]
    return float(seconds), float(cpu), int(kept), int(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16", "bfloat16"))
    parser.add_argument("--channels-last", action="store_true", help="as the configs for published weights have it")
    parser.add_argument("--config")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return measure(options)
    first = None
    for weights in options.weights:
        results = [in_child(weights, options) for _ in range(options.repeat)]
        seconds, cpu = (min(result[column] for result in results) for column in (0, 1))
        kept, peak = results[0][2], max(result[3] for result in results)
        first = first or (seconds, cpu)
        print(
            f"{weights} in {options.dtype}: {seconds:.1f} s, {cpu:.1f} s of CPU ({first[0] / seconds:.1f}x and "
            f"{first[1] / cpu:.1f}x as fast as the first), {kept / 1e9:.2f} GB kept, peak {peak / 1e9:.2f} GB = "
            f"{peak / kept:.2f}x",
            flush=True,
        )


if __name__ == "__main__":
    main()
