"""A studio whose runs are pretended, and pictures for it."""

import io
import sys
import time
from pathlib import Path

import numpy as np
from batch_stand_ins import save_pictures
from PIL import Image

from threestudio.web.runs import own_settings, resumed
from threestudio.web.studio import Studio

RUN = Path(__file__).parent / "pretend_run.py"
PATIENCE = 30.0  # seconds


def pretended(folder: Path, **more) -> Studio:
    studio = Studio(folder / "outputs", **more)

    def command(job, place):
        mode = [f"--{job.task}", *job.settings, *job.export]
        return [sys.executable, str(RUN), *mode, *own_settings(studio.store, job), *resumed(place)]

    studio.queue.command = command
    return studio


def picture(folder: Path) -> bytes:
    """A disc, cut out."""
    return (save_pictures(folder / "pictures", cat=(0.9, 0.5, 0.1)) / "cat.png").read_bytes()


def opaque_noise(width=64, height=64, kind="PNG") -> bytes:
    """A picture that cannot be cut out."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def until(condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.02)
    return value
