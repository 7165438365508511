"""A training of milliseconds: made-up views, a random model, the repository's own configs cut down."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from cascade_zero123.zero123.weights.loading import save_zero123
from omegaconf import OmegaConf
from PIL import Image
from tiny_zero123 import EPSILON, SIZE, tiny_model

from threestudio.cameras import orbit

ROOT = Path(__file__).parents[1]
OBJECTS, VIEWS = 6, 8


def packed_views(folder: Path) -> Path:
    """Noise in the packed cascade layout, the same each time."""
    rng = np.random.default_rng(0)
    azimuth = torch.tensor([0.0, 45.0, -45.0, 0.0, 90.0, 180.0, -90.0, 10.0]).repeat(OBJECTS)
    elevation = torch.tensor([5.0, 5.0, 5.0, 35.0, 0.0, 20.0, 40.0, 60.0]).repeat(OBJECTS)
    cameras = torch.linalg.inv(orbit(elevation, azimuth, torch.full_like(azimuth, 3.8)))[:, :3]
    folder.mkdir(parents=True)
    np.save(folder / "cameras.npy", cameras.reshape(OBJECTS, VIEWS, 3, 4).numpy())
    np.save(folder / "images.npy", rng.integers(0, 256, (OBJECTS, VIEWS, SIZE, SIZE, 4), dtype=np.uint8))
    return folder


def zero123s_views(folder: Path) -> Path:
    """Noise as Zero-1-to-3's renderings lie: 12 views around each object, larger than the model's pictures."""
    rng = np.random.default_rng(0)
    elevation, azimuth = torch.from_numpy(rng.uniform([-60.0, -180.0], [60.0, 180.0], (12, 2)).T)
    cameras = torch.linalg.inv(orbit(elevation, azimuth, torch.full_like(azimuth, 1.8)))[:, :3].numpy()
    for name in "abc":
        (folder / name).mkdir(parents=True)
        for view, camera in enumerate(cameras):
            pixels = rng.integers(0, 256, (2 * SIZE, 2 * SIZE, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{view:03d}.png")
            np.save(folder / name / f"{view:03d}.npy", camera)
    return folder


def xl_config(folder: Path, steps: int, **changes: object) -> Path:
    """configs/train-refiner-xl.yaml on the CPU, from a tiny model in the manner of the published ones."""
    save_zero123(tiny_model(EPSILON), folder / "published")
    views = str(zero123s_views(folder / "renderings"))
    own = {
        "system__init_weights": str(folder / "published"),
        "data__train_folder": views,
        "data__val_folder": views,
        "data__num_workers": 2,
        "system__prompts__steps": 2,
        "trainer__accelerator": "cpu",
    }
    return config(folder, "train-refiner-xl", steps, **{**own, **changes})


def config(folder: Path, name: str, steps: int, **changes: object) -> Path:
    """configs/`name`.yaml for a tiny model and `steps` steps, as a file; `changes` by dotted key, dots as `__`."""
    if not (folder / "views").exists():
        packed_views(folder / "views")
        model = tiny_model()
        model.settings.patch_tokens = True
        save_zero123(model, folder / "init")
    cfg = OmegaConf.load(ROOT / "configs" / f"{name}.yaml")
    settings = {
        "exp_root_dir": str(folder / "outputs"),
        "use_timestamp": False,
        "data.train_folder": str(folder / "views"),
        "data.val_folder": str(folder / "views"),
        "data.batch_size": 2,
        "data.val_objects": 2,
        "system.init_weights": str(folder / "init"),
        "trainer.devices": 1,
        "trainer.strategy": "auto",
        "trainer.max_steps": steps,
        "trainer.val_check_interval": steps,
        "trainer.log_every_n_steps": 1,
        "checkpoint.every_n_train_steps": 2,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    if name == "train-refiner":
        prompts = {"system.prompts.pool": 4, "system.prompts.refresh_steps": 2, "system.prompts.steps": 1}
        settings = {**prompts, "system.ema_decay": 0.999, **settings}
    for key, value in settings.items():
        OmegaConf.update(cfg, key, value)
    file = folder / f"{name}-{steps}.yaml"
    OmegaConf.save(cfg, file)
    return file


def launch(file: Path, *overrides: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "launch.py"), "--config", str(file), "--train", "--gpu", "-1", *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def losses(trial: Path) -> dict[int, float]:
    return curve(trial, "train/loss")


def curve(trial: Path, name: str) -> dict[int, float]:
    """What was logged, by step, of all the runs that wrote into this folder."""
    values = {}
    for file in sorted(trial.glob("csv_logs/version_*/metrics.csv")):
        for row in csv.DictReader(file.open()):
            if row.get(name):
                values[int(row["step"])] = float(row[name])
    return values
