"""Stands in for launch.py in tests of the server: takes its arguments, makes its files, in a second instead of minutes.

It counts to `trainer.max_steps`, TICK seconds each, keeps the count in a checkpoint when it is asked to stop, and goes
on from it; `seed=13` fails as launch.py does.
"""

import signal
import sys
import time
from pathlib import Path

TICK = 0.01


def main(arguments: list[str]) -> int:
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    folder = Path(settings["exp_root_dir"]) / settings["name"] / settings["tag"]
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
    checkpoint, steps = folder / "ckpts" / "last.ckpt", int(settings.get("trainer.max_steps", 5))
    first = int(Path(settings["resume"]).read_text()) if "resume" in settings else 0
    print(f"from step {first}", flush=True)
    if settings.get("seed") == "13":
        print(f"{settings['data.image_path']}: unlucky", file=sys.stderr)
        return 2
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    for step in range(first, steps if "--train" in arguments else first):
        time.sleep(TICK)
        print(f"train {step + 1}/{steps}, loss 1.5, 0:09 left", flush=True)
        checkpoint.write_text(str(step + 1))
        if stop:
            return 128 + stop[0]
    export = folder / "save" / f"it{steps}-export"
    export.mkdir(parents=True, exist_ok=True)
    for name in ("model.glb", "model.obj", "model.stl", "model.ply"):
        (export / name).write_text(" ".join(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
