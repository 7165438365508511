"""Many jobs through an engine: what is done already is left alone, and no picture stops the others."""

import contextlib
import fcntl
import re
import shutil
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from studies.reconstruction.engine import Engine, WorkerDied
from studies.reconstruction.job import (
    FAILED,
    LOG,
    SOURCE,
    Job,
    Result,
    digest,
    read_result,
    write_result,
)
from studies.store import keep_settings, read_json, write_json
from threestudio.errors import UserError
from threestudio.utils.progress import Stage, stage

ATTEMPTS = 3  # of a picture whose worker died
SECONDS_BETWEEN_LOOKS = 2.0
LONGEST_NOTE = 60  # characters


def run_batch(jobs: Sequence[Job], engine: Engine) -> dict[Job, Result]:
    """What became of each, from an earlier run or this one; a picture that failed is tried again."""
    results = {job: result for job in jobs if (result := finished_before(job)) is not None}
    todo = [job for job in jobs if job not in results]
    if results:
        print(f"{len(results)} of {len(jobs)} are done already")
    with stage("pictures", len(jobs), done=len(results)) as progress:
        for job, result in outcomes(todo, engine, progress):
            results[job] = result
            print(line_of(job, result), flush=True)
            progress.advance(note=note(results.values()))
    return results


def finished_before(job: Job) -> Result | None:
    """Done, and of the very same picture; the remains of another are cleared away."""
    now, before = {"path": job.path, "sha256": digest(job.path)}, read_json(job.folder / SOURCE)
    if before is not None and before["sha256"] != now["sha256"]:
        print(f"{job}: the picture has changed; starting again")
        shutil.rmtree(job.folder)
    if before != now:
        write_json(job.folder / SOURCE, now)
    result = read_result(job)
    return result if result is not None and result.done else None


def outcomes(jobs: Sequence[Job], engine: Engine, progress: Stage) -> Iterator[tuple[Job, Result]]:
    """As they end. A job whose worker died is given to another, a few times."""
    waiting, deaths = deque(jobs), Counter[Job]()
    while waiting or engine.running():
        while waiting and engine.has_room():
            engine.start(waiting.popleft())
        for job, ended in engine.ended(SECONDS_BETWEEN_LOOKS):
            if isinstance(ended, Result):
                yield job, ended
                continue
            deaths[job] += 1
            if deaths[job] < ATTEMPTS:
                print(f"{job}: its worker {ended}; another goes on with it", flush=True)
                waiting.appendleft(job)
            else:
                yield job, given_up(job, ended)
        progress.advance(0, note=at_work(engine.running()))


def given_up(job: Job, death: WorkerDied) -> Result:
    result = Result(FAILED, f"its worker {death}, {ATTEMPTS} times; see {job.folder / LOG}")
    write_result(job, result)
    return result


def line_of(job: Job, result: Result) -> str:
    if not result.done:
        return f"{job}: failed: {result.reason}"
    scores = ", ".join(f"{name} {score.text()}" for name, score in result.scores.items())
    return f"{job}: done in {result.seconds:.0f} s, {scores}"


def note(results: Any) -> str:
    failed = sum(not result.done for result in results)
    return f"{failed} failed" if failed else ""


def at_work(jobs: Sequence[Job]) -> str:
    """What each running picture said last: `cat (cascade-zero123): train 150/600, loss 0.12`."""
    return "; ".join(f"{job}: {last_line(job.folder / LOG)}" for job in jobs)


def last_line(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 400))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return "starting"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "starting")
    return re.sub(r", [\d:]+ left$", "", said)[:LONGEST_NOTE]


@contextlib.contextmanager
def only_batch_in(out: Path) -> Iterator[None]:
    """Two at once would write over each other's runs."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{out}: another batch is at work there; wait for it, or choose another --out") from None
        yield


def refuse_other_settings(method: str, out: Path, settings: Any) -> None:
    """Results of two settings under one name would be compared as one."""
    path = out / method / "settings.json"

    def refusal(key: str, there: Any, here: Any) -> str:
        return f"{path.parent}: made with other settings: {key} is {there} there, {here} here; choose another --out"

    keep_settings(path, settings, refusal)
