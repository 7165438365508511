"""SIGKILL at random moments: `python tests/faults/kills.py --kills 20` (make faults).

A main job, a batch and a training, each in miniature, are killed again and again and taken up by the same command until
they end by themselves; what they end with is compared with a run that nobody disturbed. Prints one line a job; exit
code 1 if one of them lost something.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY)]

import torch  # noqa: E402
from batch_stand_ins import TINY, save_pictures  # noqa: E402
from tiny_training import config  # noqa: E402
from tiny_zero123 import save_tiny_cascade  # noqa: E402

STEPS = 8  # of the training
CONFIG = f"train-refiner-{STEPS}.yaml"
LONGEST = 900.0  # seconds of an attempt, after which it hangs

Command = Callable[[Path, Path], Sequence[str]]  # of a folder of materials, which all share, and one of results


def launch(*arguments: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "launch.py"), "--gpu", "-1", *arguments]


def miniature(materials: Path) -> list[str]:
    parts = [f"system.guidance.{part}.weights={materials / part}" for part in ("base", "refiner")]
    return [*TINY, *parts, "system.guidance.cache_dir=null"]


def main_job(materials: Path, outputs: Path) -> list[str]:
    trial = outputs / "toy/cat"
    resumed = [f"resume={trial}"] if (trial / "ckpts/last.ckpt").is_file() else []
    named = ["name=toy", "tag=cat", "use_timestamp=false", f"exp_root_dir={outputs}"]
    picture = f"data.image_path={materials / 'pictures/cat.png'}"
    config = str(REPOSITORY / "configs/cascade-zero123.yaml")
    return launch("--config", config, "--train", picture, *named, *miniature(materials), *resumed)


def batch(materials: Path, outputs: Path) -> list[str]:
    script = str(REPOSITORY / "scripts/reconstruct_folder.py")
    return [sys.executable, script, str(materials / "pictures"), "--out", str(outputs), *miniature(materials)]


def training(materials: Path, outputs: Path) -> list[str]:
    last = next(outputs.glob("**/ckpts/last.ckpt"), None)
    resumed = [f"resume={last}"] if last is not None else []
    return launch("--config", str(materials / CONFIG), "--train", f"exp_root_dir={outputs}", *resumed)


def make_materials(folder: Path) -> Path:
    torch.manual_seed(0)
    save_tiny_cascade(folder)
    save_pictures(folder / "pictures", cat=(0.9, 0.5, 0.1), dog=(0.2, 0.5, 0.8))
    assert config(folder, "train-refiner", STEPS).name == CONFIG
    return folder


JOBS: dict[str, Command] = {"main job": main_job, "batch": batch, "training": training}


def run(command: Sequence[str], kill_after: float | None = None) -> bool:
    """Whether it ended by itself, and well; False where it was killed. All its processes go with it."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, said = process.communicate(timeout=kill_after if kill_after is not None else LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if kill_after is None:
            raise SystemExit(f"hangs: {' '.join(command)}") from None
        return False
    if process.returncode != 0 or "Traceback" in said:
        raise SystemExit(f"ends with {process.returncode}: {' '.join(command)}\n{said[-3000:]}")
    return True


def results(outputs: Path) -> dict[str, str]:
    """What a job has made: weights by their values, meshes by their bytes, and what was left half-written."""
    found = {}
    for path in sorted(outputs.rglob("*")):
        if path.name == "last.ckpt":
            state = torch.load(path, weights_only=True)["state_dict"]
            content = b"".join(value.numpy().tobytes() for value in state.values())
        elif path.suffix in (".obj", ".glb", ".safetensors") or ".part" in path.name:
            content = path.read_bytes()
        else:
            continue
        found[str(path.relative_to(outputs))] = hashlib.sha256(content).hexdigest()
    return found


def disturbed(command: Callable[[], Sequence[str]], kills: int, seconds: float, draw: random.Random) -> int:
    """How often it was killed before it ended."""
    for count in range(kills):
        if run(command(), draw.uniform(0.1, 0.9) * seconds):
            return count
    run(command())
    return kills


def compared(name: str, materials: Path, kills: int, draw: random.Random) -> bool:
    """Jobs one after the other, each killed until it ends, until so many kills have hit one."""
    with tempfile.TemporaryDirectory() as calm:
        started = time.monotonic()
        run(JOBS[name](materials, Path(calm)))
        expected, seconds = results(Path(calm)), time.monotonic() - started
    times, lost = 0, set[str]()
    while times < kills:
        with tempfile.TemporaryDirectory() as killed:
            command = partial(JOBS[name], materials, Path(killed))
            times += disturbed(command, kills - times, seconds, draw)
            found = results(Path(killed))
        lost |= {path for path in expected.keys() | found.keys() if found.get(path) != expected.get(path)}
    print(f"{name}: killed {times} times, {len(expected)} results, lost {sorted(lost) or 'none'}", flush=True)
    return not lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="of each job [5]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job", choices=JOBS, action="append", help="one of them [all]")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        materials = make_materials(Path(folder))
        whole = [compared(name, materials, arguments.kills, draw) for name in arguments.job or JOBS]
    return 0 if all(whole) else 1


if __name__ == "__main__":
    sys.exit(main())
