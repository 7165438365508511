"""The command that reconstruct_folder.py and realfusion15.py share: arguments, engine, results."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import torch

from studies.metrics.paper_tables import Numbers
from studies.reconstruction.batch import only_batch_in, run_batch
from studies.reconstruction.engine import ENGINES, Engine
from studies.reconstruction.job import Job, Result, read_result
from studies.reconstruction.plan import notices, planned, settled
from studies.reconstruction.processes import Processes
from studies.reconstruction.ray_cluster import RayCluster
from studies.reconstruction.report import save_report
from studies.reconstruction.tables import Results, save_csv, summary
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.console import exit_code_of

REPOSITORY = Path(__file__).resolve().parents[2]
CASCADE, BASELINE = (REPOSITORY / "configs" / f"{name}.yaml" for name in ("cascade-zero123", "zero123"))


class Stopped(BaseException):
    """By Ctrl-C or `kill`."""

    def __init__(self, signal_number: int, frame: FrameType | None = None) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


def parsed(argv: Sequence[str], description: str | None, configs: Sequence[Path]) -> argparse.Namespace:
    """The key=value settings are its `overrides`; `configs` are those taken where none is given."""
    overrides = [argument for argument in argv if "=" in argument and not argument.startswith("-")]
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.usage = "%(prog)s DIR --out OUT [--config FILE ...] [--workers N] [key=value ...]"
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, action="append", metavar="FILE", help="several are compared")
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="pictures at once [1]")
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="CPU threads of each worker [1]")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--address", help="of a running Ray cluster, or auto; without it Ray is started here")
    parser.add_argument("--gpu-share", type=float, metavar="X", help="of a GPU, for each of Ray's workers")
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help="a CLIP, for CLIP-score")
    parser.add_argument("--report-only", action="store_true", help="make table and report of what is finished so far")
    arguments = parser.parse_args([argument for argument in argv if argument not in overrides])
    arguments.overrides, arguments.config = overrides, arguments.config or list(configs)
    return arguments


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def reconstruct(
    arguments: argparse.Namespace, title: str, paper: Mapping[str, Numbers] | None = None, expected: Sequence[str] = ()
) -> int:
    """`expected` are the pictures that the `paper`'s numbers are of."""
    jobs = planned(arguments.folder, arguments.config, arguments.overrides, arguments.out, arguments.clip)
    with only_batch_in(arguments.out):
        jobs, methods = settled(jobs)
        results = results_so_far(jobs) if arguments.report_only else work(jobs, arguments)
        said = notices(methods) + notice_of_others({job.picture for job in results}, expected)
        save(arguments.out, {job: results[job] for job in jobs if job in results}, title, paper or {}, said)
    return 1 if any(not result.done for result in results.values()) else 0


def results_so_far(jobs: Sequence[Job]) -> dict[Job, Result]:
    results = {job: result for job in jobs if (result := read_result(job)) is not None}
    print(f"{len(results)} of {len(jobs)} are finished so far")
    if not results:
        raise UserError(f"{jobs[0].out}: nothing is finished there yet; leave --report-only out")
    return results


def work(jobs: Sequence[Job], arguments: argparse.Namespace) -> dict[Job, Result]:
    engine, stopped = make_engine(arguments), True
    try:
        results = run_batch(jobs, engine)
        stopped = False
        return results
    finally:
        engine.close(stopped)


def save(out: Path, results: Results, title: str, paper: Mapping[str, Numbers], said: Sequence[str]) -> None:
    save_csv(out / "metrics.csv", results)
    table = summary(title, results, paper, said)
    with atomic_path(out / "table.md") as partial:
        partial.write_text(table, encoding="utf-8")
    save_report(out / "report.html", title, results, table)
    print(f"\n{table}")
    for job, result in results.items():
        if not result.done:
            print(f"{job}: failed: {result.reason}", file=sys.stderr)
    print(f"Everything to look at: {out / 'report.html'}")


def notice_of_others(pictures: set[str], expected: Sequence[str]) -> list[str]:
    """Means over other pictures do not compare with the paper's."""
    if not expected or pictures == set(expected):
        return []
    missing, more = len(set(expected) - pictures), len(pictures - set(expected))
    return [f"Not the paper's set of {len(expected)} pictures: {missing} are missing, {more} are others."]


def make_engine(arguments: argparse.Namespace) -> Engine:
    if arguments.engine == "processes":
        return Processes(arguments.workers, arguments.threads, visible_gpus())
    share = arguments.gpu_share if arguments.gpu_share is not None else float(torch.cuda.is_available())
    return RayCluster(arguments.workers, arguments.threads, arguments.address, share)


def visible_gpus() -> list[str]:
    """The names by which CUDA_VISIBLE_DEVICES can choose among this machine's GPUs."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return chosen.split(",")[:count] if chosen is not None else [str(number) for number in range(count)]


def as_command(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """What the user can mend ends in one line and exit code 2."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        return main(argv)
    except Stopped as stopped:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return stopped.exit_code
    except Exception as error:
        return exit_code_of(error)
