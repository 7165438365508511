"""What happens to one picture, in a worker's process: launch.py's run, the scores of its mesh, result.json.

A process works on one picture after the other; the models that the first one loads are kept for the rest.
"""

import argparse
import contextlib
import gc
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from cascade_zero123.zero123.reuse import keep_models

import threestudio
from studies.reconstruction.job import DONE, FAILED, LOG, RESULT, Job, Result, write_result
from studies.reconstruction.measures import measure
from studies.reconstruction.settings import setting, settings
from threestudio.extensions import load_extensions
from threestudio.run import run
from threestudio.utils.checkpoint import load_checkpoint
from threestudio.utils.console import one_line, set_up_console
from threestudio.utils.interruption import Interruption

CUSTOM = Path(__file__).resolve().parents[2] / "custom"


class Worker:
    """`threads` is fixed for the whole batch: another number may sum in another order, and so give another mesh."""

    def __init__(self, threads: int, folder: str, interruption: Interruption | None = None) -> None:
        """`folder` is what relative paths in configs are relative to, as for launch.py."""
        os.chdir(folder)
        torch.set_num_threads(threads)
        set_up_console(verbose=False)
        self.interruption = interruption or Interruption()
        load_extensions(CUSTOM)
        keep_models()

    def reconstruct(self, job: Job) -> Result:
        """Never raises for what is wrong with the picture or its config; that is the result."""
        job.folder.mkdir(parents=True, exist_ok=True)
        with output_to(job.folder / LOG):
            result = self.outcome(job)
            write_result(job, result)
        return result

    def outcome(self, job: Job) -> Result:
        started = time.perf_counter()
        reset_peak_memory()
        try:
            result = self.made(job)
        except Exception as error:
            traceback.print_exc()
            result = Result(FAILED, reason_of(error))
        finally:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        result.seconds = round(time.perf_counter() - started, 1)
        result.memory_mb, result.gpu_memory_mb = peak_memory_mb()
        return result

    def made(self, job: Job) -> Result:
        (job.folder / RESULT).unlink(missing_ok=True)
        result = Result(DONE, resumed_at_step=self.launch(job))
        threestudio.info("Measuring the mesh")
        measure(job, result)
        return result

    def launch(self, job: Job) -> int:
        """As `launch.py --train`, from the last checkpoint of an earlier attempt if there is one; at which step."""
        overrides = settings(job)
        last, step = latest_checkpoint(job.folder / "ckpts"), 0
        if last is not None:
            overrides.append(setting("resume", str(last)))
            step = int(load_checkpoint(last)["global_step"])
        command = ["launch.py", "--config", job.config, "--train", *overrides]
        print(f"{time.strftime('%F %T')} {' '.join(command)}", flush=True)
        modes = {"train": True, "validate": False, "test": False, "export": False}
        run(argparse.Namespace(config=job.config, **modes), overrides, self.interruption, CUSTOM, command)
        return step


def latest_checkpoint(folder: Path) -> Path | None:
    """Not always last.ckpt, which is written after the others; hidden ones are unfinished, and the surface stage has
    one of its own, which the run itself finds."""
    written = [path for path in folder.glob("*.ckpt") if not path.name.startswith((".", "surface-"))]
    return max(written, key=lambda path: path.stat().st_mtime_ns, default=None)


def reason_of(error: Exception) -> str:
    """One line; an error of ours is named by its kind, its traceback stands in the log."""
    return one_line(error) or " ".join(f"{type(error).__name__}: {error}".split())[:300]


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """What this process says, libraries in C included, goes to the end of `log`."""
    kept = [os.dup(stream) for stream in (1, 2)]
    flush()
    with open(log, "ab", buffering=0) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        yield
    finally:
        flush()
        for stream, before in zip((1, 2), kept, strict=True):
            os.dup2(before, stream)
            os.close(before)


def flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def reset_peak_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):  # Linux only; elsewhere the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> tuple[float, float]:
    """Resident, and allocated on the GPU, in units of 10^6 bytes."""
    gpu = torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else 0.0
    try:
        status = Path("/proc/self/status").read_text()
        kibibytes = int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kibibytes * 1024 / 1e6, 1), round(gpu, 1)
