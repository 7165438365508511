"""A training as a config and what it changes: started, gone on with, and its weights kept beside those of others.

OUT/<name> holds the weights of its last step, OUT/<name>.json all its settings, OUT/runs/<name> the rest.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_zero123.cascade.cache import weights_fingerprint
from cascade_zero123.zero123.weights.loading import weights_files

from studies import store
from threestudio.errors import UserError

ROOT = Path(__file__).parents[2]
LAUNCH = str(ROOT / "launch.py")


@dataclass(frozen=True)
class Run:
    """One training: a config and what it changes; its weights go by `name`."""

    name: str
    config: str  # from the repository's root
    overrides: Sequence[str]  # key=value
    start: Path | None = None  # a checkpoint of another run, which this one goes on from

    def command(self, out: Path) -> list[str]:
        last = last_checkpoint(out, self.name)
        last = self.start if self.start is not None and not last.exists() else last
        return [
            *(sys.executable, LAUNCH, "--config", self.config, "--train"),
            *("name=runs", f"tag={self.name}", "use_timestamp=false", f"exp_root_dir={out}"),
            *([f"resume={last}"] if last.exists() else []),
            *self.overrides,
        ]

    def settings(self) -> dict[str, Any]:
        """All of its config by dotted key, as it is trained, and which weights it starts from."""
        from omegaconf import OmegaConf

        merged = OmegaConf.merge(OmegaConf.load(ROOT / self.config), OmegaConf.from_cli(list(self.overrides)))
        settings = dict(_leaves(OmegaConf.to_container(merged, resolve=True), ""))
        weights = settings.get("system.init_weights")
        return settings | ({"init_weights": weights_fingerprint(weights_files(weights))} if weights else {})


def trained(run: Run, out: Path) -> Path:
    """The folder of its weights; a run that is done is left as it is, an interrupted one goes on."""
    keep_settings(run, out)
    if (out / run.name).is_dir():
        print(f"{run.name}: done, {out / run.name}")
        return out / run.name
    print(f"{run.name}: training", flush=True)
    code = code_of(run.command(out))
    if code:
        sys.exit(code)  # launch.py has said what is wrong, or how to go on
    folder = _finished(run, out)
    print(f"{run.name}: {folder}")
    return folder


def stopped(run: Run, out: Path, seconds: float) -> Path:
    """The checkpoint of a run that stops of itself when so long has passed, after one step at least; called again, it
    goes on for as long again."""
    keep_settings(run, out)
    print(f"{run.name}: training for {seconds:.0f} s", flush=True)
    code = code_of([*run.command(out), f"system.stop_at={time.time() + seconds:.0f}"])
    if code:
        sys.exit(code)
    return last_checkpoint(out, run.name)


def code_of(command: list[str]) -> int:
    """Runs it to its end; asked to stop, it hands that on and waits, so that a training keeps its last step."""
    process = subprocess.Popen(command, cwd=ROOT)
    # On Ctrl-C the terminal tells the training too.
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_settings(run: Run, out: Path) -> None:
    """In OUT/<name>.json; a run of other settings is neither taken for done nor gone on with."""
    record, ours = out / f"{run.name}.json", run.settings()

    def refusal(key: str, there: Any, here: Any) -> str:
        return f"{record}: {run.name} was trained with other settings: {key} {there}, not {here}; choose another --out"

    if (out / run.name).is_dir() or last_checkpoint(out, run.name).exists():
        if not record.is_file():
            raise UserError(f"{record}: missing, so nobody knows how {run.name} was trained; choose another --out")
        theirs = store.read_json(record)
        keys = sorted(ours.keys() | theirs)  # one that is not there is None
        store.refuse_others({key: theirs.get(key) for key in keys}, {key: ours.get(key) for key in keys}, refusal)
    store.write_json(record, ours)


def last_checkpoint(out: Path, name: str) -> Path:
    return out / "runs" / name / "ckpts" / "last.ckpt"


def refuse_what_is_no_key(overrides: Sequence[str]) -> None:
    for override in overrides:
        if "=" not in override:
            raise UserError(f"{override}: expected key=value")


def _finished(run: Run, out: Path) -> Path:
    """The weights of the last step, copied beside those of the other runs."""
    last = out / "runs" / run.name / "save/weights" / f"it{run.settings()['trainer.max_steps']}"
    if not last.is_dir():
        raise UserError(f"{last}: no weights; the training of this run did not come to its end")
    unfinished = out / f".{run.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(last, unfinished)
    return unfinished.rename(out / run.name)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))
